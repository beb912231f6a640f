"""A network whose output is known, for tests of what surrounds networks."""

import numpy as np
from torch import nn


class Nearest(nn.Module):
    """A network that repeats every pixel twice: what it makes of an image is known."""

    upscale_factor = 2
    min_size = 1

    def __init__(self, in_channels=3):
        super().__init__()
        self.in_channels = in_channels

    def forward(self, x):
        return nn.functional.interpolate(x, scale_factor=2, mode="nearest")


def nearest(array):
    return np.repeat(np.repeat(array, 2, 0), 2, 1)
