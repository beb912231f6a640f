"""Removal of channels from a network, and networks that are built without them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from mmsrnas.genotypes import DRCGenotype, Genotype, GenotypeError, load_genotype
from mmsrnas.genotypes.base import MAX_CHANNELS
from mmsrnas.registry import MODELS

from .groups import ARCHITECTURES, Site, find_sites

__all__ = ["PrunedNet", "remove_channels"]


def remove_channels(net: nn.Module, sites: Sequence[Site], kept: Sequence[Tensor]) -> None:
    """Keeps some inner channels of every site, in place, and drops the others.

    The network then computes what it computed with the inputs of the dropped channels at zero.

    Args:
        net: The network.
        sites: Its sites.
        kept: For each site the indices of the inner channels that remain.
    """
    for site, channels in zip(sites, kept, strict=True):
        outputs = channels[:, None] * site.group + torch.arange(site.group)
        _select(net.get_submodule(site.producer), 0, outputs.flatten())
        _select(net.get_submodule(site.consumer), 1, channels)


def _select(conv: Any, dim: int, index: Tensor) -> None:
    """Keeps outputs (``dim=0``) or inputs (``dim=1``) of a convolution."""
    index = index.to(conv.weight.device)
    conv.weight = _selected(conv.weight, dim, index)
    if dim == 1:
        conv.in_channels = len(index)
        return
    conv.out_channels = len(index)
    if conv.bias is not None:
        conv.bias = _selected(conv.bias, 0, index)


def _selected(param: Tensor, dim: int, index: Tensor) -> nn.Parameter:
    return nn.Parameter(param.detach().index_select(dim, index), param.requires_grad)


@MODELS.register_module()
def PrunedNet(  # noqa: N802 (stands where a class stands in a config)
    genotype: str | Path | Mapping[str, Any] | Genotype,
) -> nn.Module:
    """Builds a pruned network of any class that has a table of sites.

    ``DRNNet`` needs no such help, it takes the genotype itself.

    Args:
        genotype: Name, path, content or value of a DRC genotype.

    Returns:
        The network of that class, with fewer channels, randomly initialised. It says its
        ``genotype``.

    Raises:
        GenotypeError: The genotype is wrong, or its network cannot be built.
    """
    found: DRCGenotype = load_genotype(genotype, method="drc")
    if found.architecture not in ARCHITECTURES:
        raise GenotypeError(
            f"genotype field 'architecture': {found.architecture!r} has no table of prunable "
            f"sites; there are {', '.join(ARCHITECTURES)}."
        )
    with torch.device("meta"):  # a wrong size is refused before memory is spent
        full = _full_network(found)
    found.check_fits(type(full).__name__, tuple(site.width for site in find_sites(full)))
    net = _full_network(found)
    remove_channels(net, find_sites(net), [torch.arange(width) for width in found.widths])
    net.genotype = found
    return net


def _full_network(genotype: DRCGenotype) -> Any:
    for name, value in genotype.arguments:
        if isinstance(value, int) and value > MAX_CHANNELS:
            raise GenotypeError(f"genotype field 'arguments': {name}={value} is too large.")
    try:
        return cast(Any, MODELS.get(genotype.architecture))(**dict(genotype.arguments))
    except Exception as error:
        raise GenotypeError(
            f"genotype field 'arguments': {genotype.architecture} cannot be built with them "
            f"({type(error).__name__}: {error})."
        ) from None
