"""Removal of channels from a network, and networks that are built without them."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from mmsrnas.genotypes import DRCGenotype, Genotype, GenotypeError, load_genotype
from mmsrnas.genotypes.base import MAX_CHANNELS
from mmsrnas.registry import MODELS

from .groups import ChannelGroup, find_groups, find_sites

__all__ = ["PrunedNet", "full_genotype", "mask_channels", "remove_channels"]

Indices = dict[str, dict[int, np.ndarray]]
"""By name of a parameter or buffer and by its dimension, what goes."""


def remove_channels(net: nn.Module, groups: Sequence[ChannelGroup], kept: Sequence[Tensor]) -> None:
    """Keeps some channels of every group, in place, and drops the others.

    The network then computes what it computed with everything that the dropped channels own at
    zero, see :func:`mask_channels`.

    Args:
        net: The network.
        groups: Its groups, or some of them.
        kept: For each group the indices of the channels that remain.
    """
    names = defaultdict(list)
    for name, tensor in _tensors(net, remove_duplicate=False).items():
        names[id(tensor)].append(name)
    touched = {}
    for name, dims in _dropped(groups, kept).items():
        old = cast(Any, _tensors(net)[name])
        new = old.detach()
        for dim, dropped in dims.items():
            index = np.setdiff1d(np.arange(new.shape[dim]), dropped)
            new = new.index_select(dim, torch.from_numpy(index).to(new.device))
        if isinstance(old, nn.Parameter):
            new = nn.Parameter(new, old.requires_grad)
        for shared in names[id(old)]:
            owner, _, attribute = shared.rpartition(".")
            module = net.get_submodule(owner)
            (module._parameters if isinstance(new, nn.Parameter) else module._buffers)[
                attribute
            ] = new
            touched[owner] = module
    for module in touched.values():
        _say_sizes(module)


@torch.no_grad()
def mask_channels(net: nn.Module, groups: Sequence[ChannelGroup], kept: Sequence[Tensor]) -> None:
    """Sets everything that the dropped channels own to zero, in place.

    Args:
        net: The network.
        groups: Its groups, or some of them.
        kept: For each group the indices of the channels that remain.
    """
    tensors = _tensors(net)
    for name, dims in _dropped(groups, kept).items():
        for dim, dropped in dims.items():
            tensors[name].index_fill_(dim, torch.from_numpy(dropped).to(tensors[name].device), 0)


def _dropped(groups: Sequence[ChannelGroup], kept: Sequence[Tensor]) -> Indices:
    found: dict[str, dict[int, list[np.ndarray]]] = defaultdict(lambda: defaultdict(list))
    for group, channels in zip(groups, kept, strict=True):
        gone = np.setdiff1d(np.arange(group.width), channels.cpu().numpy())
        if len(gone):
            for part in group.slices:
                found[part.name][part.dim].append(part.index[gone].ravel())
    return {
        name: {dim: np.concatenate(parts) for dim, parts in dims.items()}
        for name, dims in found.items()
    }


def _tensors(net: nn.Module, remove_duplicate: bool = True) -> dict[str, Tensor]:
    """Parameters and buffers by name."""
    return {
        **dict(net.named_parameters(remove_duplicate=remove_duplicate)),
        **dict(net.named_buffers(remove_duplicate=remove_duplicate)),
    }


def _say_sizes(module: Any) -> None:
    """Lets a module say the sizes that its tensors have; ``groups`` is the one it computes with."""
    if isinstance(module, _ConvNd):
        first, second = module.weight.shape[:2]
        if 1 < module.groups == module.in_channels:  # depthwise; the latter is still that of before
            transposed = isinstance(module, _ConvTransposeNd)
            multiplier = 1 if transposed else module.out_channels // module.groups
            module.groups = first // multiplier
        if isinstance(module, _ConvTransposeNd):
            module.in_channels, module.out_channels = first, second * module.groups
        else:
            module.in_channels, module.out_channels = second * module.groups, first
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, _NormBase):
        tensors = (module.weight, module.running_mean)
        sizes = [len(tensor) for tensor in tensors if tensor is not None]
        module.num_features = sizes[0] if sizes else module.num_features
    elif isinstance(module, nn.PReLU):
        module.num_parameters = len(module.weight)


def full_genotype(net: nn.Module, cfg: Mapping[str, Any], sites: bool = True) -> DRCGenotype:
    """Genotype of a network that keeps all of its channels.

    Args:
        net: The network.
        cfg: The config that it was built from.
        sites: Only the channels inside of blocks count, in the order of the modules; else those of
            every group, by name.

    Returns:
        The genotype; ``replace(widths=...)`` describes the network after pruning.

    Raises:
        GenotypeError: An argument that is no number, name or list of numbers, or a network that
            lacks channels already.
    """
    own = getattr(net, "genotype", None)
    if isinstance(own, DRCGenotype) and (sites or own.groups):
        return own
    if isinstance(own, DRCGenotype):
        if own.widths != own.full_widths:
            raise GenotypeError(
                "the network has been pruned inside of its blocks already: take the full network."
            )
        architecture, arguments, base = own.architecture, own.arguments, own.base
    else:
        architecture = cfg.get("type", type(net).__name__).rpartition(".")[2]
        base = json.dumps(own.to_dict()) if isinstance(own, Genotype) else ""
        skipped = ("type", "init_cfg", "genotype")
        given = {key: value for key, value in cfg.items() if key not in skipped}
        arguments = tuple(sorted((k, v) for k, v in given.items() if v is not None))
    found = find_sites(net) if sites else find_groups(net)
    widths = tuple(group.width for group in found)
    names = () if sites else tuple(group.name for group in found)
    return DRCGenotype(architecture, widths, widths, arguments, names, base)


@MODELS.register_module()
def PrunedNet(  # noqa: N802 (stands where a class stands in a config)
    genotype: str | Path | Mapping[str, Any] | Genotype,
) -> nn.Module:
    """Builds a pruned network of any registered class.

    Args:
        genotype: Name, path, content or value of a genotype of pruning.

    Returns:
        The network of that class, with fewer channels, randomly initialised. It says its
        ``genotype``.

    Raises:
        GenotypeError: The genotype is wrong, or its network cannot be built.
    """
    found: DRCGenotype = load_genotype(genotype, method="drc")
    try:
        with torch.device("meta"):  # a wrong size is refused before memory is spent
            full = _full_network(found)
    except GenotypeError:  # wrong, which it will be again, or a network that computes while built
        full = _full_network(found)
    groups = _groups_of(full, found)
    net = _full_network(found)
    remove_channels(net, groups, [torch.arange(width) for width in found.widths])
    net.genotype = found
    return net


def _groups_of(full: nn.Module, genotype: DRCGenotype) -> list[ChannelGroup]:
    """The groups that a genotype is about, in its order."""
    if not genotype.groups:
        try:
            groups = find_sites(full)
        except ValueError as error:
            raise GenotypeError(f"genotype field 'architecture': {error}") from None
    else:
        named = {group.name: group for group in find_groups(full)}
        if unknown := [name for name in genotype.groups if name not in named]:
            raise GenotypeError(
                f"genotype field 'groups': {genotype.architecture} has no group '{unknown[0]}'; "
                f"it has {', '.join(list(named)[:6])}..."
            )
        groups = [named[name] for name in genotype.groups]
    genotype.check_fits(genotype.architecture, tuple(group.width for group in groups))
    return groups


def _full_network(genotype: DRCGenotype) -> Any:
    for name, value in genotype.arguments:
        if isinstance(value, int) and value > MAX_CHANNELS:
            raise GenotypeError(f"genotype field 'arguments': {name}={value} is too large.")
    arguments: dict[str, Any] = dict(genotype.arguments)
    if genotype.base:
        arguments["genotype"] = json.loads(genotype.base)
    network = MODELS.get(genotype.architecture)
    if network is None:
        raise GenotypeError(
            f"genotype field 'architecture': there is no network {genotype.architecture!r}. "
            "Import the package that registers it."
        )
    try:
        return cast(Any, network)(**arguments)
    except Exception as error:
        raise GenotypeError(
            f"genotype field 'arguments': {genotype.architecture} cannot be built with them "
            f"({type(error).__name__}: {error})."
        ) from None
