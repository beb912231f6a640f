"""The base of every genotype: a frozen dataclass that travels as JSON."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from mmsrnas.files import atomic_write

__all__ = ["Genotype", "GenotypeError"]


class GenotypeError(ValueError):
    """A genotype that cannot describe a network; the message names the field."""


@dataclasses.dataclass(frozen=True)
class Genotype:
    """A searched architecture as plain data, complete enough to build the network.

    A subclass declares its fields, its ``method`` and its ``version``, and checks the values in
    ``__post_init__`` with :class:`GenotypeError`.  Two genotypes are equal when they describe the
    same network: the provenance of a file is no part of the value.

    Attributes:
        method: Name of the search method, the ``"method"`` of the JSON.
        version: Version of the fields, the ``"version"`` of the JSON.
    """

    method: ClassVar[str]
    version: ClassVar[int] = 1

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Genotype":
        """Builds a genotype from the content of its JSON file.

        Args:
            data: The fields, with optional ``method``, ``version`` and ``provenance``.

        Returns:
            The checked genotype.

        Raises:
            GenotypeError: Another method or version, an unknown or missing field, a wrong value.
        """
        if data.get("method", cls.method) != cls.method:
            raise GenotypeError(
                f"genotype method: expected '{cls.method}', got '{data['method']}'. "
                f"Use the network of '{data['method']}', or a genotype searched by '{cls.method}'."
            )
        if data.get("version", cls.version) != cls.version:
            raise GenotypeError(
                f"genotype version: this release reads version {cls.version} of "
                f"'{cls.method}', got {data['version']}."
            )
        values = {k: v for k, v in data.items() if k not in ("method", "version", "provenance")}
        fields = {f.name: f for f in dataclasses.fields(cls)}
        if unknown := sorted(values.keys() - fields.keys()):
            raise GenotypeError(
                f"genotype of '{cls.method}': unknown field {unknown[0]!r}; "
                f"it has {', '.join(fields)}."
            )
        required = {n for n, f in fields.items() if f.default is dataclasses.MISSING}
        if missing := sorted(required - values.keys()):
            raise GenotypeError(f"genotype of '{cls.method}': field {missing[0]!r} is missing.")
        return cls(**{name: _freeze(value) for name, value in values.items()})

    def to_dict(self) -> dict[str, Any]:
        """The genotype as JSON-serialisable data, ``method`` and ``version`` first."""
        fields = json.loads(json.dumps(dataclasses.asdict(self)))
        return {"method": self.method, "version": self.version, **fields}

    def save(self, path: str | Path, provenance: Mapping[str, Any] | None = None) -> None:
        """Writes the JSON file in one step, so that an interruption leaves no half file.

        Args:
            path: Target file.
            provenance: Where the genotype comes from (config, seed, iteration, versions).
        """
        path = Path(path)
        data = self.to_dict() | ({"provenance": dict(provenance)} if provenance else {})
        with atomic_write(path) as partial:
            partial.write_text(json.dumps(data, indent=2) + "\n")


def _freeze(value: Any) -> Any:
    """Lists become tuples at every depth, so that genotypes are hashable values."""
    if isinstance(value, list | tuple):
        return tuple(_freeze(item) for item in value)
    return value
