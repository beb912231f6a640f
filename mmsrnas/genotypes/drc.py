"""Genotype of pruning: how many channels remain where in a network."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from .base import Channels, Genotype, show, wrong
from .diagram import Diagram

__all__ = ["DRCGenotype"]

Name = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}\Z")]
Widths = Annotated[tuple[Channels, ...], Meta(min_length=1, max_length=4096)]
Number = Annotated[int, Meta(ge=-(1 << 31), le=1 << 31)] | Annotated[float, Meta(ge=-1e9, le=1e9)]
Numbers = Annotated[tuple[Number, ...], Meta(max_length=64)]
# No pattern inside a union: msgspec 0.22 frees it once too often, and Python crashes.
Text = Annotated[str, Meta(max_length=64)]
Group = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.#]{1,256}\Z")]
Groups = Annotated[tuple[Group, ...], Meta(max_length=4096)]
Base = Annotated[str, Meta(max_length=1 << 17)]
Arguments = Annotated[tuple[tuple[Name, bool | Number | Text | Numbers], ...], Meta(max_length=32)]


class DRCGenotype(Genotype, frozen=True):
    """A network with the channels that a pruning left.

    It is about the groups of channels that it names. Without names it is about the sites, as in
    dual regression compression (arXiv 2207.07929): pairs of convolutions in a block with channels
    between them that nothing else reads, in the order of the modules.

    Args:
        architecture: Name of the network's class, e.g. ``'DRNNet'``.
        full_widths: Channels of every group in the full network.
        widths: Channels that remain, at least 1 and at most the full width.
        arguments: Arguments of the full network as ``(name, value)`` pairs, in the order of their
            names; arguments that are left out have the class's default.
        groups: Names of the groups; none for the sites in their order.
        base: Genotype of the full network as JSON; empty where it has none.
    """

    method: ClassVar[str] = "drc"

    architecture: Name
    full_widths: Widths
    widths: Widths
    arguments: Arguments = ()
    groups: Groups = ()
    base: Base = ""

    @property
    def network(self) -> str:  # type: ignore[override]
        """Name of what builds the pruned network."""
        inner = self.architecture == "DRNNet" and not self.groups
        return "DRNNet" if inner else "PrunedNet"

    def check(self) -> None:
        """No site is wider than in the full network, no argument stands twice."""
        if len(self.widths) != len(self.full_widths):
            raise wrong(
                "widths",
                f"expected {len(self.full_widths)} numbers, one for each of 'full_widths', "
                f"got {len(self.widths)}.",
            )
        for site, (width, full) in enumerate(zip(self.widths, self.full_widths, strict=True)):
            if width > full:
                raise wrong(
                    f"widths[{site}]",
                    f"the site has {full} channels, so it can keep 1 to {full} of them, "
                    f"got {width}.",
                )
        if self.groups and len(set(self.groups)) != len(self.widths):
            raise wrong(
                "groups",
                f"expected {len(self.widths)} different names, one for each of 'widths', got "
                f"{show(self.groups)}.",
            )
        names = [name for name, _ in self.arguments]
        if names != sorted(set(names)):
            raise wrong(
                "arguments", f"expected different names in alphabetical order, got {show(names)}."
            )

    def check_fits(
        self,
        architecture: str,
        full_widths: tuple[int, ...],
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        """Refuses a network that this genotype does not describe.

        Args:
            architecture: Name of the network's class.
            full_widths: Inner channels of its sites.
            arguments: Arguments of the full network, as far as they are known.

        Raises:
            GenotypeError: Another class, another argument, another number of sites, or a site of
                another width.
        """
        if self.architecture != architecture:
            raise wrong(
                "architecture",
                f"these are widths of {self.architecture}, the network is {architecture}.",
            )
        for name, ours in self.arguments:
            theirs = (arguments or {}).get(name, ours)
            if ours != (tuple(theirs) if isinstance(theirs, list) else theirs):
                raise wrong(
                    "arguments",
                    f"{name}={ours!r}, but the network has {name}={theirs!r}. Leave it out of the "
                    "config, or take a genotype of this network.",
                )
        if len(self.full_widths) != len(full_widths):
            raise wrong(
                "full_widths",
                f"{len(self.full_widths)} sites, this {architecture} has {len(full_widths)}. "
                "Check its scale and number of blocks.",
            )
        for site, (ours, theirs) in enumerate(zip(self.full_widths, full_widths, strict=True)):
            if ours != theirs:
                raise wrong(
                    f"full_widths[{site}]",
                    f"site {site} has {ours} channels, in this {architecture} it has {theirs}. "
                    "Check its scale and 'mid_channels'.",
                )

    def diagrams(self) -> list[Diagram]:
        """The widths of all sites, sixteen in a row."""
        remaining = sum(self.widths) / sum(self.full_widths)
        sites = Diagram(
            f"{self.architecture}: channels that remain at each place, {remaining:.0%} of all"
        )
        for site, (width, full) in enumerate(zip(self.widths, self.full_widths, strict=True)):
            row, column = divmod(site, 16)
            kind = "searched" if width < full else "fixed"
            sites.box(f"{site}", 1.4 * column, -row, f"{width}/{full}", kind)
        return [sites]
