"""Genotype of DRC: how many channels remain inside each block of a network."""

from dataclasses import dataclass
from typing import ClassVar

from .base import Genotype, GenotypeError

__all__ = ["DRCGenotype"]


@dataclass(frozen=True)
class DRCGenotype(Genotype):
    """Inner widths of a network that dual regression compression thins (arXiv 2207.07929).

    A site is a pair of convolutions with channels between them that nothing else reads. The order
    of the sites is the order of the modules in the network.

    Args:
        architecture: Name of the network's class, e.g. ``'DRNNet'``.
        full_widths: Inner channels of every site in the full network.
        widths: Inner channels that remain, at least 1 and at most the full width.
    """

    method: ClassVar[str] = "drc"

    architecture: str
    full_widths: tuple[int, ...]
    widths: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.full_widths):
            raise GenotypeError(
                f"genotype field 'widths': expected {len(self.full_widths)} numbers, one for each "
                f"of 'full_widths', got {len(self.widths)}."
            )
        for site, (width, full) in enumerate(zip(self.widths, self.full_widths, strict=True)):
            if not (isinstance(width, int) and 1 <= width <= full):
                raise GenotypeError(
                    f"genotype field 'widths': site {site} has {full} channels, so it can keep "
                    f"1 to {full} of them, got {width!r}."
                )

    def check_fits(self, architecture: str, full_widths: tuple[int, ...]) -> None:
        """Refuses a network that this genotype does not describe.

        Args:
            architecture: Name of the network's class.
            full_widths: Inner channels of its sites.

        Raises:
            GenotypeError: Another class, another number of sites, or a site of another width.
        """
        if self.architecture != architecture:
            raise GenotypeError(
                f"genotype field 'architecture': these are widths of {self.architecture}, "
                f"the network is {architecture}."
            )
        if len(self.full_widths) != len(full_widths):
            raise GenotypeError(
                f"genotype field 'full_widths': {len(self.full_widths)} sites, this {architecture} "
                f"has {len(full_widths)}. Check its scale and number of blocks."
            )
        for site, (ours, theirs) in enumerate(zip(self.full_widths, full_widths, strict=True)):
            if ours != theirs:
                raise GenotypeError(
                    f"genotype field 'full_widths': site {site} has {ours} channels, in this "
                    f"{architecture} it has {theirs}. Check its scale and 'mid_channels'."
                )
