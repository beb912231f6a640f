"""Restoration of images, folders and videos by a trained network.

``Restorer("dlsr.pth").file("small.png", "large.png")``, or ``mmsrnas infer`` on the command line.
"""

from .files import Outcome, Plan, plan_files, restore_files
from .model import LoadedModel, load_model, load_network
from .pictures import Picture, read_picture, write_picture
from .restorer import Restorer
from .runtimes import RuntimeNet, faster, in_runtime

__all__ = [
    "LoadedModel",
    "Outcome",
    "Picture",
    "Plan",
    "Restorer",
    "RuntimeNet",
    "faster",
    "in_runtime",
    "load_model",
    "load_network",
    "plan_files",
    "read_picture",
    "restore_files",
    "write_picture",
]
