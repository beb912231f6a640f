"""The base of every genotype: a frozen, typed value that travels as JSON and draws itself."""

import functools
import json
import re
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args, get_origin

import msgspec

from mmsrnas.files import atomic_write

from .diagram import Diagram

__all__ = [
    "GENOTYPES",
    "MAX_CELLS",
    "MAX_CHANNELS",
    "Channels",
    "Genotype",
    "GenotypeError",
    "ImageChannels",
    "Index",
    "Scale",
]

MAX_CELLS = 128
"""Most cells of a genotype, and most nodes of a cell."""

MAX_CHANNELS = 4096
"""Widest feature map that a genotype may ask for."""

Channels = Annotated[int, msgspec.Meta(ge=1, le=MAX_CHANNELS)]
Index = Annotated[int, msgspec.Meta(ge=0, le=MAX_CELLS + 1)]
Scale = Annotated[int, msgspec.Meta(ge=1, le=16)]
ImageChannels = Annotated[int, msgspec.Meta(ge=1, le=64)]

T = TypeVar("T", bound="Genotype")


class GenotypeError(ValueError):
    """A genotype that cannot describe a network; the message names the field."""


GENOTYPES: dict[str, type["Genotype"]] = {}
"""The genotype class of each method; a subclass enters itself when it is defined."""


class Genotype(msgspec.Struct, frozen=True):
    """A searched architecture as plain data, complete enough to build the network.

    A subclass declares its ``method`` and its typed fields; :mod:`msgspec` checks the types and
    bounds in their annotations, :meth:`check` what types cannot say. Lists become tuples, so that
    every genotype is a hashable value. Two genotypes are equal when they describe the same network:
    the provenance of a file is no part of the value.

    Attributes:
        method: Name of the search method, the ``"method"`` of the JSON.
        version: Version of the fields, the ``"version"`` of the JSON.
        network: Name of the network's class, which a file without a config is run by; empty where
            a genotype alone does not tell it.
    """

    method: ClassVar[str]
    version: ClassVar[int] = 1
    network: ClassVar[str] = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        known = GENOTYPES.setdefault(cls.method, cls)
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise TypeError(
                f"genotype method {cls.method!r} belongs to {known.__module__}."
                f"{known.__qualname__}; choose another `method` for {cls.__qualname__}."
            )
        GENOTYPES[cls.method] = cls

    def __post_init__(self) -> None:
        for name, annotation in field_types(type(self)).items():
            value = convert(getattr(self, name), annotation, name)
            msgspec.structs.force_setattr(self, name, value)
        self.check()

    def check(self) -> None:
        """Checks what the types of the fields cannot say.

        Raises:
            GenotypeError: A value that no network has, by :func:`wrong`.
        """

    def diagrams(self) -> list[Diagram]:
        """The panels of the drawing; by default one that lists the fields."""
        panel = Diagram(f"{self.method}: the fields of the genotype")
        for row, (name, value) in enumerate(self.to_dict().items()):
            panel.box(name, 0, -row, name)
            panel.box(f"{name} value", 7, -row, reprlib.repr(value)[:60], "searched")
        return [panel]

    @classmethod
    def from_dict(cls: type[T], data: Mapping[str, Any]) -> T:
        """Builds a genotype from the content of its JSON file.

        Args:
            data: The fields, with optional ``method``, ``version`` and ``provenance``.

        Returns:
            The checked genotype.

        Raises:
            GenotypeError: Another method or version, an unknown or missing field, a wrong value.
        """
        method = convert(data.get("method", cls.method), str, "method")
        if method != cls.method:
            raise wrong(
                "method",
                f"expected '{cls.method}', got {show(method)}. Use the network of that method, or "
                f"a genotype searched by '{cls.method}'.",
            )
        version = convert(data.get("version", cls.version), int, "version")
        if version != cls.version:
            raise wrong(
                "version",
                f"this release reads version {cls.version} of '{cls.method}', got {show(version)}.",
            )
        values = {k: v for k, v in data.items() if k not in ("method", "version", "provenance")}
        fields = {field.name: field for field in msgspec.structs.fields(cls)}
        for name in values:
            if name not in fields:
                raise GenotypeError(
                    f"genotype of '{cls.method}': unknown field {show(name)}; "
                    f"it has {', '.join(fields)}."
                )
        for name, field in fields.items():
            if field.required and name not in values:
                raise GenotypeError(f"genotype of '{cls.method}': field {name!r} is missing.")
        return cls(**values)

    def replace(self: T, **changes: Any) -> T:
        """A checked copy with other values of some fields; None keeps the value.

        Args:
            changes: New values by field.

        Raises:
            GenotypeError: A new value is wrong, or does not suit the others.
        """
        changes = {name: value for name, value in changes.items() if value is not None}
        return type(self)(**msgspec.structs.asdict(self) | changes)

    def to_dict(self) -> dict[str, Any]:
        """The genotype as JSON-serialisable data, ``method`` and ``version`` first."""
        fields = json.loads(json.dumps(msgspec.structs.asdict(self)))
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


def wrong(field: str, expected: str) -> GenotypeError:
    """The error of a field.

    Args:
        field: Name of the field, with the place in it: ``'connections[2]'``.
        expected: What was expected, what was found, and what to do.
    """
    return GenotypeError(f"genotype field '{field}': {expected}")


@functools.cache
def field_types(cls: type[Genotype]) -> dict[str, Any]:
    """The types of the fields by name."""
    return {field.name: field.type for field in msgspec.structs.fields(cls)}


def convert(value: Any, annotation: Any, field: str) -> Any:
    """Checks the type and the bounds of a value, strictly, and makes tuples of its lists.

    Args:
        value: What a file or a caller gave.
        annotation: The type that it should have.
        field: Name of the field, for the message.

    Returns:
        The value in its type.

    Raises:
        GenotypeError: The value has another type or is out of bounds, at any depth.
    """
    try:
        converted = msgspec.convert(value, annotation)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$")
        place = place.rstrip("`")
        found = show(_at(value, place))
        if text.startswith("Invalid enum value"):
            known = ", ".join(map(str, _choices(annotation)))
            raise wrong(field + place, f"unknown value {found}; known: {known}.") from None
        raise wrong(field + place, f"{text[0].lower()}{text[1:]}: {found}.") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise wrong(field, f"{type(error).__name__}: {error}.") from None
    if not _has_order(value, converted):
        raise wrong(field, f"expected lists, which have an order, and no set, got {show(value)}.")
    return converted


def show(value: Any) -> str:
    """A short text for any value, for the message of an error."""
    try:
        return reprlib.repr(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        return f"a long {type(value).__name__}"


def _at(value: Any, place: str) -> Any:
    """The part of a value that msgspec calls, say, ``[2][0]``."""
    for index in re.findall(r"\[(\d+)\]", place):
        if not isinstance(value, list | tuple):  # a set, which msgspec counts through
            break
        value = value[int(index)]
    return value


def _has_order(value: Any, converted: Any) -> bool:
    """Whether every tuple of a converted value was a sequence: msgspec takes sets as well."""
    if not isinstance(converted, tuple):
        return True
    return isinstance(value, list | tuple) and all(map(_has_order, value, converted))


def _choices(annotation: Any) -> tuple[Any, ...]:
    """The values of the first ``Literal`` in a type."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return next(filter(None, map(_choices, get_args(annotation))), ())
