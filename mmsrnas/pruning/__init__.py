"""Smaller networks: groups of channels, how many and which remain, and their removal."""

from .cost import WidthCost, fit_widths, random_widths, uniform_widths
from .groups import ChannelGroup, find_channels, find_groups, find_sites
from .importance import IMPORTANCES, damage_curves, score_channels
from .selection import CRITERIA, ChannelSelector
from .supernet import ChannelNumberSearch
from .surgery import PrunedNet, full_genotype, mask_channels, remove_channels
from .verification import Verified, largest_error, verified_groups
from .widths import GroupCost, choose_widths, scaled_widths, width_options

__all__ = [
    "CRITERIA",
    "IMPORTANCES",
    "ChannelGroup",
    "ChannelNumberSearch",
    "ChannelSelector",
    "GroupCost",
    "PrunedNet",
    "Verified",
    "WidthCost",
    "choose_widths",
    "damage_curves",
    "find_channels",
    "find_groups",
    "find_sites",
    "fit_widths",
    "full_genotype",
    "largest_error",
    "mask_channels",
    "random_widths",
    "remove_channels",
    "scaled_widths",
    "score_channels",
    "uniform_widths",
    "verified_groups",
    "width_options",
]
