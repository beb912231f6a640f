"""Makes a paired data set from any folder of images.

``python tools/dataset_converters/prepare_folder.py photos data/photos --scales 2 3 4``
"""

import argparse
import os

from mmsrnas.datasets.image_io import MAX_PIXELS
from mmsrnas.datasets.prepare import write_pairs


def main() -> None:
    """Reads the command line and writes the pairs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", help="folder of HR images")
    parser.add_argument("out", help="folder of the data set")
    parser.add_argument("--scales", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument(
        "--layout",
        choices=["papers", "mmagic"],
        default="papers",
        help="papers: HR and LR_bicubic/X2/NAMEx2.png; mmagic: GTmod12 and LRbicx2/NAME.png",
    )
    parser.add_argument("--max-pixels", type=int, default=MAX_PIXELS, help="of an image")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="number of processes")
    write_pairs(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
