"""Joins DIV2K, prepared before, and Flickr2K to DF2K.

``python tools/dataset_converters/prepare_df2k.py downloads --div2k data/DIV2K --out data/DF2K``
"""

import argparse
import os
from pathlib import Path

from mmsrnas.datasets.archives import obtain_folder
from mmsrnas.datasets.prepare import list_images, provide_lr_images

COUNTS = {"DIV2K_train_HR": 800, "Flickr2K_HR": 2650}


def link_images(source: Path, target: Path) -> None:
    """Links every image of a folder into another one."""
    target.mkdir(parents=True, exist_ok=True)
    for path in list_images(source):
        link = target / path.name
        if link.is_symlink():
            link.unlink()  # of an earlier run, perhaps to another place
        elif link.exists():
            raise SystemExit(f"{link} was not made by this converter; move it away")
        link.symlink_to(path.resolve())


def main() -> None:
    """Reads the command line and joins the HR and the LR images."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("downloads", type=Path, help="folder of Flickr2K.tar, or of its contents")
    parser.add_argument("--div2k", type=Path, default=Path("data/DIV2K"))
    parser.add_argument("--out", type=Path, default=Path("data/DF2K"))
    parser.add_argument("--scales", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="number of processes")
    args = parser.parse_args()

    flickr = args.out / "Flickr2K"
    if not obtain_folder("Flickr2K_HR", ["Flickr2K.tar"], args.downloads, flickr):
        raise SystemExit(f"Neither Flickr2K_HR nor Flickr2K.tar is in {args.downloads}")
    for folder in (args.div2k / "DIV2K_train_HR", flickr / "Flickr2K_HR"):
        found = len(list_images(folder))
        if found != COUNTS[folder.name]:
            raise SystemExit(
                f"{folder} should hold {COUNTS[folder.name]} images, but holds {found}"
            )
        link_images(folder, args.out / "DF2K_train_HR")
    for scale in args.scales:
        lr = f"Flickr2K_LR_bicubic/X{scale}"
        obtain_folder(lr, ["Flickr2K.tar"], args.downloads, flickr)
        provide_lr_images(flickr / "Flickr2K_HR", flickr / lr, scale, args.jobs)
        for folder in (args.div2k / f"DIV2K_train_LR_bicubic/X{scale}", flickr / lr):
            link_images(folder, args.out / f"DF2K_train_LR_bicubic/X{scale}")


if __name__ == "__main__":
    main()
