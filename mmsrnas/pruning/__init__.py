"""Channel numbers and channels: search, selection and surgery (DRC, arXiv 2207.07929)."""

from .cost import WidthCost, fit_widths
from .groups import Site, find_sites
from .selection import ChannelSelector
from .supernet import ChannelNumberSearch
from .surgery import PrunedNet, remove_channels

__all__ = [
    "ChannelNumberSearch",
    "ChannelSelector",
    "PrunedNet",
    "Site",
    "WidthCost",
    "find_sites",
    "fit_widths",
    "remove_channels",
]
