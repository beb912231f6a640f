"""Cuts the pairs of a training set into overlapping patches, which load faster.

``python tools/dataset_converters/extract_sub_images.py data/DIV2K/DIV2K_train_HR
data/DIV2K/DIV2K_train_LR_bicubic/X2 --scale 2``
"""

import argparse
import os

from mmsrnas.datasets.image_io import MAX_PIXELS
from mmsrnas.datasets.prepare import extract_sub_images


def main() -> None:
    """Reads the command line and writes the patches."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("hr_folder")
    parser.add_argument("lr_folder")
    parser.add_argument("--scale", type=int, required=True)
    parser.add_argument("--size", type=int, default=480, help="of the HR patches, in pixels")
    parser.add_argument("--step", type=int, default=240, help="between them, in pixels")
    parser.add_argument("--max-pixels", type=int, default=MAX_PIXELS, help="of an image")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="number of processes")
    extract_sub_images(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
