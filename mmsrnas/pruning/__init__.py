"""Smaller networks: groups of channels, how many and which remain, and their removal."""

from .cost import WidthCost, fit_widths, random_widths, uniform_widths
from .groups import ChannelGroup, find_channels, find_groups, find_sites
from .selection import CRITERIA, ChannelSelector
from .supernet import ChannelNumberSearch
from .surgery import PrunedNet, full_genotype, mask_channels, remove_channels
from .verification import Verified, verified_groups

__all__ = [
    "CRITERIA",
    "ChannelGroup",
    "ChannelNumberSearch",
    "ChannelSelector",
    "PrunedNet",
    "Verified",
    "WidthCost",
    "find_channels",
    "find_groups",
    "find_sites",
    "fit_widths",
    "full_genotype",
    "mask_channels",
    "random_widths",
    "remove_channels",
    "uniform_widths",
    "verified_groups",
]
