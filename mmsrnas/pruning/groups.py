"""Channels that can be removed from a network only together, found from its operators."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import nn

from .tracing import ChannelTracer, Labels, Product, trace_channels

__all__ = ["ChannelGroup", "ChannelSlice", "Channels", "find_channels", "find_groups", "find_sites"]


ROLES = ("produces", "consumes")
OUTPUT = "is the output"


@dataclass(frozen=True)
class ChannelSlice:
    """What the channels of a group own of one dimension of a parameter or buffer.

    Attributes:
        name: Name of the parameter or buffer.
        dim: Its dimension.
        index: Indices there ``(width, n)``, ``n`` for each channel of the group.
        produces: The channels come out of a weighted sum with this parameter.
        consumes: The channels are summed up with its weights.
    """

    name: str
    dim: int
    index: np.ndarray
    produces: bool = False
    consumes: bool = False

    @property
    def module(self) -> str:
        """Name of the module that has it."""
        return self.name.rpartition(".")[0]


@dataclass(frozen=True)
class ChannelGroup:
    """Channels of which any can be removed, each from all tensors that it passes through.

    Attributes:
        name: The module that makes them, the first one where there are several.
        width: Number of channels.
        slices: What they own, in the order of the parameters.
        pooled: They come from an image of one pixel, as those inside of an attention do.
    """

    name: str
    width: int
    slices: tuple[ChannelSlice, ...]
    pooled: bool = False

    @property
    def producer(self) -> str:
        """The module that makes the channels."""
        return self._only("produces").module

    @property
    def consumer(self) -> str:
        """The module that reads the channels."""
        return self._only("consumes").module

    @property
    def group(self) -> int:
        """Outputs of the producer for each channel: 4 with a pixel shuffle of factor 2."""
        return self._only("produces").index.shape[1]

    def _only(self, role: str) -> ChannelSlice:
        (found,) = (part for part in self.slices if getattr(part, role))
        return found

    def inside(self, module: str) -> "ChannelGroup":
        """The group as a part of the network names it.

        Args:
            module: Name of the part, which owns all slices.
        """
        prefix = f"{module}."
        slices = [replace(part, name=part.name.removeprefix(prefix)) for part in self.slices]
        return replace(self, name=self.name.removeprefix(prefix), slices=tuple(slices))


@dataclass(frozen=True)
class LeftAlone:
    """Channels that stay.

    Attributes:
        name: The module that makes them.
        width: Their number.
        reason: Why they stay, with the place in the network.
    """

    name: str
    width: int
    reason: str

    def __str__(self) -> str:
        return f"'{self.name}' ({self.width} channels) {self.reason}"


@dataclass(frozen=True)
class Term:
    """Multiply-accumulates of one call as a function of the channels that remain.

    Attributes:
        factor: How often, for each combination of indices of the dimensions.
        shape: Sizes of the dimensions in the full network.
        shares: For each dimension, by the number of a group, indices for each of its channels.
        conv: See :class:`~mmsrnas.pruning.tracing.Product`.
    """

    factor: int
    shape: tuple[int, ...]
    shares: tuple[Mapping[int, int], ...]
    conv: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Channels:
    """The channels of a network.

    Attributes:
        groups: Those that can be removed, in the order of the parameters that make them.
        left_alone: Those that cannot.
        terms: What the network computes with them.
    """

    groups: tuple[ChannelGroup, ...]
    left_alone: tuple[LeftAlone, ...]
    terms: tuple[Term, ...] = ()


def find_groups(net: nn.Module) -> list[ChannelGroup]:
    """Channel groups of a network, see :func:`find_channels`."""
    return list(find_channels(net).groups)


def find_sites(net: nn.Module) -> list[ChannelGroup]:
    """Groups inside of blocks: the channels between two convolutions that nothing else reads.

    Args:
        net: The network.

    Returns:
        The groups, in the order of the modules that make them.

    Raises:
        ValueError: The network has none.
    """
    modules = dict(net.named_modules())
    sites: list[ChannelGroup] = []
    ends: set[str] = set()  # a convolution belongs to one site, so that their costs add up
    for group in find_groups(net):
        if _is_site(group, modules) and not ends & {group.producer, group.consumer}:
            sites.append(group)
            ends |= {group.producer, group.consumer}
    if not sites:
        raise ValueError(
            f"{type(net).__name__} has no pair of convolutions in a block with channels between "
            "them that nothing else reads."
        )
    return sites


def _is_site(group: ChannelGroup, modules: Mapping[str, Any]) -> bool:
    makes, reads = ({s.module for s in group.slices if getattr(s, role)} for role in ROLES)
    if len(makes) != 1 or len(reads) != 1 or {s.module for s in group.slices} != makes | reads:
        return False
    producer, consumer = modules[group.producer], modules[group.consumer]
    parents = {name.rpartition(".")[0] for name in makes | reads}
    return (
        not group.pooled
        and len(parents) == 1
        and "" not in parents
        and all(isinstance(conv, nn.Conv2d) and conv.groups == 1 for conv in (producer, consumer))
        and producer is not consumer
        and producer.out_channels == group.width * group.group
        and consumer.in_channels == group.width
    )


def find_channels(net: nn.Module, image_size: tuple[int, int, int] | None = None) -> Channels:
    """Finds which channels of a network can be removed, and which belong together.

    The network is run once without values. Every operator joins the channels that it adds,
    multiplies or normalises with each other, by the rules in :mod:`mmsrnas.pruning.rules`; those
    that are joined over all operators are removed together.

    Args:
        net: The network; it is left as it was.
        image_size: ``(C, H, W)`` of the image that the terms are for.

    Returns:
        The groups, what stays, and what is computed.
    """
    tracer, named = trace_channels(net, image_size)
    _tie(tracer, net, named)
    return group_channels(tracer, named, {name for name, _ in net.named_parameters()})


def group_channels(
    tracer: ChannelTracer, named: Mapping[str, list[Labels]], parameters: set[str]
) -> Channels:
    """The channels of a network that was traced.

    Args:
        tracer: The tracer after the pass.
        named: Labels of the dimensions of every parameter and buffer.
        parameters: Names of the parameters.
    """
    unit_of = _units(tracer)
    produced, consumed, pooled = (
        _members(unit_of, part) for part in (tracer.produced, tracer.consumed, tracer.pooled)
    )
    shown = _members(unit_of, [part for part, reason in tracer.fixed if reason == OUTPUT])
    makes, reads = (_owners(named, part) for part in (tracer.produced, tracer.consumed))
    reasons = dict(_reasons(tracer, unit_of))
    owned: dict[int, dict[tuple[str, int], list[int]]] = defaultdict(lambda: defaultdict(list))
    for name, axes in named.items():
        for dim, labels in enumerate(axes):
            if labels is not None:
                for index, unit in enumerate(unit_of[labels]):
                    owned[int(unit)][name, dim].append(index)
    alike: dict[tuple, list[int]] = defaultdict(list)
    for unit, places in owned.items():
        reason = reasons.get(unit, "")
        if unit in produced and (reason or unit in consumed) and unit not in shown:
            alike[_footprint(places), reason].append(unit)
    order = {name: position for position, name in enumerate(named)}
    groups, left = [], []
    for (footprint, reason), units in alike.items():
        slices = [
            ChannelSlice(
                name,
                dim,
                np.array([owned[unit][name, dim] for unit in units]),
                (name, dim) in makes,
                (name, dim) in reads,
            )
            for (name, dim), _ in footprint
        ]
        slices.sort(key=lambda part: order[part.name])
        first = next(part for part in slices if part.produces and part.name in parameters)
        if reason or len(units) < 2:
            left.append(LeftAlone(first.module, len(units), reason or "is one channel alone"))
        else:
            inside = bool(set(units) & pooled)
            group = ChannelGroup(first.module, len(units), tuple(slices), inside)
            groups.append((group, units))
    groups.sort(key=lambda pair: order[_first(pair[0])])
    owner = {unit: number for number, (_, units) in enumerate(groups) for unit in units}
    widths = [group.width for group, _ in groups]
    terms = [_term(product, unit_of, owner, widths) for product in tracer.products]
    return Channels(_numbered([group for group, _ in groups]), _merged(left), tuple(terms))


def _term(
    product: Product, unit_of: np.ndarray, owner: Mapping[int, int], widths: Sequence[int]
) -> Term:
    shares = []
    for labels in product.axes:
        units = () if labels is None else unit_of[labels]
        counts = Counter(owner[int(unit)] for unit in units if int(unit) in owner)
        shares.append({group: count // widths[group] for group, count in counts.items()})
    return Term(product.factor, product.shape, tuple(shares), product.conv)


def _first(group: ChannelGroup) -> str:
    return next(part.name for part in group.slices if part.produces)


def _numbered(groups: Sequence[ChannelGroup]) -> tuple[ChannelGroup, ...]:
    """Groups of different names: a convolution may make the channels of several."""
    seen: dict[str, int] = defaultdict(int)
    named = []
    for group in groups:
        seen[group.name] += 1
        number = seen[group.name]
        named.append(replace(group, name=f"{group.name}#{number}") if number > 1 else group)
    return tuple(named)


def _merged(left: Iterable[LeftAlone]) -> tuple[LeftAlone, ...]:
    """One entry for the channels of one module and reason."""
    widths: dict[tuple[str, str], int] = defaultdict(int)
    for item in left:
        widths[item.name, item.reason] += item.width
    return tuple(LeftAlone(name, width, reason) for (name, reason), width in widths.items())


def _footprint(places: Mapping[tuple[str, int], Sequence[int]]) -> tuple[Any, ...]:
    """How many indices of which dimensions of which parameters."""
    return tuple((place, len(indices)) for place, indices in places.items())


def _units(tracer: ChannelTracer) -> np.ndarray:
    """Number of the unit that each label belongs to."""
    empty = np.empty(0, int)
    first = np.concatenate([pair[0] for pair in tracer.joined] or [empty])
    second = np.concatenate([pair[1] for pair in tracer.joined] or [empty])
    size = (tracer.count, tracer.count)
    graph = coo_matrix((np.ones(len(first), bool), (first, second)), size)
    return connected_components(graph, directed=False)[1]


def _members(unit_of: np.ndarray, parts: Sequence[np.ndarray]) -> set[int]:
    return {int(unit) for labels in parts for unit in unit_of[labels]}


def _owners(named: Mapping[str, list[Labels]], parts: Sequence[np.ndarray]) -> set[tuple[str, int]]:
    """Dimensions of parameters whose own labels are among some."""
    labels = {int(label) for part in parts for label in part}
    return {
        (name, dim)
        for name, axes in named.items()
        for dim, axis in enumerate(axes)
        if axis is not None and int(axis[0]) in labels
    }


def _reasons(tracer: ChannelTracer, unit_of: np.ndarray) -> Iterable[tuple[int, str]]:
    """The first reason for which a unit stays."""
    for labels, reason in reversed(tracer.fixed):
        for unit in unit_of[labels]:
            yield int(unit), reason


def _tie(tracer: ChannelTracer, net: nn.Module, named: dict[str, list[Labels]]) -> None:
    """Parameters that several modules share have the same channels, and one name."""
    seen: dict[int, str] = {}
    for name, param in net.named_parameters(remove_duplicate=False):
        first = seen.setdefault(id(param), name)
        if first != name and name in named:
            for one, other in zip(named[first], named.pop(name), strict=True):
                tracer.match(one, other)
