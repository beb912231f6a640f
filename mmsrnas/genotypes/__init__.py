"""Genotypes: the searched architectures as values, files and published data."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .base import Genotype, GenotypeError
from .dlsr import DLSR_OPS, DLSRGenotype
from .drc import DRCGenotype
from .hinas import HINAS_ACTIVATIONS, HINAS_OPS, HiNASGenotype
from .hnas import HNAS_NORMAL_OPS, HNAS_PAPER_NORMAL_OPS, HNAS_UPSAMPLING_OPS, HNASGenotype

__all__ = [
    "DLSR_OPS",
    "HINAS_ACTIVATIONS",
    "HINAS_OPS",
    "HNAS_NORMAL_OPS",
    "HNAS_PAPER_NORMAL_OPS",
    "HNAS_UPSAMPLING_OPS",
    "DLSRGenotype",
    "DRCGenotype",
    "Genotype",
    "GenotypeError",
    "HNASGenotype",
    "HiNASGenotype",
    "load_genotype",
    "published_genotypes",
]

_TYPES: dict[str, type[Genotype]] = {
    cls.method: cls for cls in (DLSRGenotype, HNASGenotype, HiNASGenotype, DRCGenotype)
}
_PUBLISHED = Path(__file__).parent / "published"


def published_genotypes() -> list[str]:
    """Names of the genotypes that come with the package; each is a file ``published/NAME.json``."""
    return sorted(path.stem for path in _PUBLISHED.glob("*.json"))


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
        raise GenotypeError(f"{name}: expected a JSON object, got {type(source).__name__}.")
    found = source.get("method", method)
    if found not in _TYPES:
        raise GenotypeError(
            f"{name}: unknown genotype method {found!r}; known: {', '.join(_TYPES)}."
        )
    try:
        return _TYPES[method or found].from_dict(source)
    except GenotypeError as error:
        raise GenotypeError(f"{name}: {error}") from None


def _read(source: str | Path) -> Any:
    path = Path(source)
    if path.suffix != ".json":
        path = _PUBLISHED / f"{source}.json"
        if not path.is_file():
            raise GenotypeError(
                f"unknown genotype '{source}'. Published: {', '.join(published_genotypes())}; "
                "or give the path of a .json file that a search wrote."
            )
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise GenotypeError(f"genotype file '{path}' does not exist.") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise GenotypeError(f"genotype file '{path}' is not readable JSON: {error}.") from None
