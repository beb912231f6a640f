"""Image data: strict reading, paired images and their checks, noise, and MATLAB's resizing."""

from .checks import check_datasets
from .image_io import read_image
from .loading import LoadImageFromFile
from .mixed_image_dataset import MixedImageDataset
from .noise import AddGaussianNoise
from .paired_image_dataset import PairedImageDataset
from .patch import RandomPatch
from .resize import imresize
from .rotation import RandomRot90

__all__ = [
    "AddGaussianNoise",
    "LoadImageFromFile",
    "MixedImageDataset",
    "PairedImageDataset",
    "RandomPatch",
    "RandomRot90",
    "check_datasets",
    "imresize",
    "read_image",
]
