"""Where channels can be removed from a network without touching its other widths."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from mmsrnas.genotypes import DRCGenotype

__all__ = ["ARCHITECTURES", "Site", "find_sites", "full_genotype"]

ARCHITECTURES = {
    "DRNNet": ((r"(.+)\.conv1", r"\1.conv2", 1), (r"(.+)\.upsample", r"\1.reduce", 4)),
    "EDSRNet": ((r"body\.(\d+)\.conv1", r"body.\1.conv2", 1),),
    "MSRResNet": ((r"trunk_net\.(\d+)\.conv1", r"trunk_net.\1.conv2", 1),),
}
"""Class of a network: the pairs of convolutions whose inner channels nothing else reads.

A pair is a pattern for the name of the first convolution, the name of the second, and how many
outputs of the first make one input of the second (4 with a pixel shuffle of factor 2 between).
"""


@dataclass(frozen=True)
class Site:
    """A pair of convolutions with prunable channels between them.

    Attributes:
        producer: Name of the convolution whose outputs are removed.
        consumer: Name of the convolution whose inputs are removed.
        group: Outputs of the producer for each input of the consumer.
        width: Inputs of the consumer.
    """

    producer: str
    consumer: str
    group: int
    width: int


def find_sites(net: nn.Module) -> list[Site]:
    """Lists the sites of a network in the order of its modules.

    Args:
        net: A network whose class is in ``ARCHITECTURES``.

    Returns:
        The sites.

    Raises:
        ValueError: Unknown class, or a site that is not a pair of dense convolutions.
    """
    architecture = type(net).__name__
    if architecture not in ARCHITECTURES:
        raise ValueError(
            f"{architecture} has no table of prunable sites; there are "
            f"{', '.join(ARCHITECTURES)}. Add its convolution pairs to "
            "mmsrnas.pruning.groups.ARCHITECTURES."
        )
    modules = dict(net.named_modules())
    sites = []
    for name in modules:
        for pattern, template, group in ARCHITECTURES[architecture]:
            if match := re.fullmatch(pattern, name):
                sites.append(_site(modules, name, match.expand(template), group))
    return sites


def full_genotype(net: nn.Module, cfg: Mapping[str, Any]) -> DRCGenotype:
    """Genotype of a network that keeps all of its channels.

    Args:
        net: The network.
        cfg: The config that it was built from.

    Returns:
        The genotype; ``replace(widths=...)`` describes the network after pruning.

    Raises:
        GenotypeError: An argument that is no number, name or list of numbers.
    """
    own = getattr(net, "genotype", None)
    if isinstance(own, DRCGenotype):
        return own
    arguments = {key: value for key, value in cfg.items() if key not in ("type", "init_cfg")}
    widths = tuple(site.width for site in find_sites(net))
    return DRCGenotype(type(net).__name__, widths, widths, tuple(sorted(arguments.items())))


def _site(modules: dict[str, Any], producer: str, consumer: str, group: int) -> Site:
    first, second = modules[producer], modules[consumer]
    if first.groups != 1 or second.groups != 1 or first.out_channels != group * second.in_channels:
        raise ValueError(
            f"'{producer}' and '{consumer}' are no pair of dense convolutions with {group} outputs "
            "of the first for each input of the second."
        )
    return Site(producer, consumer, group, second.in_channels)
