"""Prepares DIV2K from the official archives; LR images that are not there are made.

``python tools/dataset_converters/prepare_div2k.py downloads --out data/DIV2K``
"""

import argparse
import os
from pathlib import Path

from mmsrnas.datasets.archives import obtain_folder
from mmsrnas.datasets.prepare import list_images, provide_lr_images

COUNTS = {"train": 800, "valid": 100}


def main() -> None:
    """Reads the command line and prepares both parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("downloads", type=Path, help="folder of the archives, or of their contents")
    parser.add_argument("--out", type=Path, default=Path("data/DIV2K"))
    parser.add_argument("--scales", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="number of processes")
    args = parser.parse_args()

    for part, count in COUNTS.items():
        hr = f"DIV2K_{part}_HR"
        if not obtain_folder(hr, [f"{hr}.zip"], args.downloads, args.out):
            raise SystemExit(f"Neither {hr} nor {hr}.zip is in {args.downloads}")
        found = len(list_images(args.out / hr))
        if found != count:
            raise SystemExit(f"{hr} has {count} images, but {args.out / hr} holds {found}")
        for scale in args.scales:
            lr = f"DIV2K_{part}_LR_bicubic/X{scale}"
            obtain_folder(lr, [f"DIV2K_{part}_LR_bicubic_X{scale}.zip"], args.downloads, args.out)
            provide_lr_images(args.out / hr, args.out / lr, scale, args.jobs)


if __name__ == "__main__":
    main()
