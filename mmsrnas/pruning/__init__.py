"""Channel numbers and channels: search, selection and surgery (DRC, arXiv 2207.07929)."""

from .channel_number_search import ChannelNumberSearch
from .channel_selection import ChannelSelector
from .sites import Site, find_sites
from .surgery import ThinNet, remove_channels
from .width_cost import WidthCost, fit_widths

__all__ = [
    "ChannelNumberSearch",
    "ChannelSelector",
    "Site",
    "ThinNet",
    "WidthCost",
    "find_sites",
    "fit_widths",
    "remove_channels",
]
