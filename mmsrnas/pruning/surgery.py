"""Removal of channels from a network, and networks that are built thin."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmsrnas.genotypes import Genotype, load_genotype
from mmsrnas.registry import MODELS

from .groups import Site, find_sites

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


def _select(conv: nn.Conv2d, dim: int, index: Tensor) -> None:
    """Keeps outputs (``dim=0``) or inputs (``dim=1``) of a convolution."""
    index = index.to(conv.weight.device)
    conv.weight = _selected(conv.weight, dim, index)
    if dim == 1:
        conv.in_channels = len(index)
        return
    conv.out_channels = len(index)
    if conv.bias is not None:
        conv.bias = _selected(conv.bias, 0, index)


def _selected(param: nn.Parameter, dim: int, index: Tensor) -> nn.Parameter:
    return nn.Parameter(param.detach().index_select(dim, index), param.requires_grad)


@MODELS.register_module()
def PrunedNet(  # noqa: N802 (stands where a class stands in a config)
    generator: dict, genotype: str | Path | Mapping[str, Any] | Genotype
) -> nn.Module:
    """Builds a residual generator of mmagic with the inner widths of a genotype.

    ``DRNNet`` needs no such help, it takes the genotype itself.

    Args:
        generator: Config of the full network, e.g. ``dict(type='EDSRNet', ...)``.
        genotype: Name, path, content or value of a DRC genotype.

    Returns:
        The network of that class, with fewer channels, randomly initialised.

    Raises:
        GenotypeError: The genotype is wrong or does not fit the network.
        ValueError: The network has no table of sites.
    """
    net = MODELS.build(generator)
    sites = find_sites(net)
    genotype = load_genotype(genotype, method="drc")
    genotype.check_fits(type(net).__name__, tuple(site.width for site in sites))
    remove_channels(net, sites, [torch.arange(width) for width in genotype.widths])
    return net
