"""Genotypes in files: the published ones, and those that searches and users write."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, overload

from .base import GENOTYPES, Genotype, GenotypeError, show

__all__ = ["MAX_FILE_SIZE", "load_genotype", "published_genotypes"]

MAX_FILE_SIZE = 1 << 20
"""Largest genotype file that is read, in bytes; the largest published one has 2 kB."""

_PUBLISHED = Path(__file__).parent / "published"


def published_genotypes() -> list[str]:
    """Names of the genotypes that come with the package; each is a file ``published/NAME.json``."""
    return sorted(path.stem for path in _PUBLISHED.glob("*.json"))


@overload
def load_genotype(
    source: str | Path | Mapping[str, Any] | Genotype, method: None = None
) -> Genotype: ...
@overload
def load_genotype(source: str | Path | Mapping[str, Any] | Genotype, method: str) -> Any: ...
def load_genotype(
    source: str | Path | Mapping[str, Any] | Genotype, method: str | None = None
) -> Genotype:
    """Reads a genotype from wherever a config may name it.

    Args:
        source: Name of a published genotype, path of a ``.json`` file, its content, or the value.
        method: The method that the caller builds, which must be the genotype's.

    Returns:
        The checked genotype.

    Raises:
        GenotypeError: No such name or file, not a genotype, or the genotype of another method.
    """
    if isinstance(source, Genotype):
        source = source.to_dict()
    name = "the given genotype"
    if isinstance(source, str | Path):
        name, source = str(source), _read(source)
    if not isinstance(source, Mapping):
        raise GenotypeError(
            f"{name}: expected the name of a published genotype ({', '.join(published_genotypes())}"
            f"), the path of a .json file or a JSON object, got {type(source).__name__}."
        )
    found = source.get("method", method)
    if not isinstance(found, str) or found not in GENOTYPES:
        raise GenotypeError(
            f"{name}: unknown genotype method {show(found)}; known: {', '.join(GENOTYPES)}."
        )
    try:
        return GENOTYPES[method or found].from_dict(source)
    except GenotypeError as error:
        raise GenotypeError(f"{name}: {error}") from None


def _read(source: str | Path) -> Any:
    path = Path(source)
    if path.suffix != ".json":
        if str(source) not in published_genotypes():
            raise GenotypeError(
                f"unknown genotype '{source}'. Published: {', '.join(published_genotypes())}; "
                "or give the path of a .json file that a search wrote."
            )
        path = _PUBLISHED / f"{source}.json"
    try:
        if not path.is_file():  # not a device or a pipe either, which could be read for ever
            raise GenotypeError(f"genotype file '{path}' does not exist.")
        with path.open("rb") as file:
            data = file.read(MAX_FILE_SIZE + 1)
        if len(data) > MAX_FILE_SIZE:
            raise GenotypeError(
                f"genotype file '{path}' is larger than {MAX_FILE_SIZE} bytes; no genotype is."
            )
        return json.loads(data, object_pairs_hook=_unique)
    except GenotypeError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise GenotypeError(f"genotype file '{path}' is not readable JSON: {error}.") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are all different, so that no value is silently dropped."""
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise GenotypeError(f"genotype field {twice!r} stands twice in one JSON object.")
    return values
