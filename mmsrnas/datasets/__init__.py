"""Image data: paired images and their checks, noise, and MATLAB's bicubic resizing."""

from .checks import check_datasets
from .mixed_image_dataset import MixedImageDataset
from .noise import AddGaussianNoise
from .paired_image_dataset import PairedImageDataset
from .resize import imresize
from .rotation import RandomRot90

__all__ = [
    "AddGaussianNoise",
    "MixedImageDataset",
    "PairedImageDataset",
    "RandomRot90",
    "check_datasets",
    "imresize",
]
