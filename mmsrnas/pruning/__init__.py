"""Channel numbers and channels: search, selection and surgery (DRC, arXiv 2207.07929)."""

from .cost import WidthCost, fit_widths, random_widths, uniform_widths
from .groups import Site, find_sites, full_genotype
from .selection import CRITERIA, ChannelSelector
from .supernet import ChannelNumberSearch
from .surgery import PrunedNet, remove_channels

__all__ = [
    "CRITERIA",
    "ChannelNumberSearch",
    "ChannelSelector",
    "PrunedNet",
    "Site",
    "WidthCost",
    "find_sites",
    "fit_widths",
    "full_genotype",
    "random_widths",
    "remove_channels",
    "uniform_widths",
]
