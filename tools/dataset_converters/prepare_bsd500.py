"""Prepares BSD500 for denoising from the BSDS500 archive of Berkeley.

``python tools/dataset_converters/prepare_bsd500.py downloads --out data/BSD500``
"""

import argparse
import shutil
from pathlib import Path

from mmsrnas.datasets.archives import obtain_folder
from mmsrnas.datasets.prepare import list_images

ARCHIVE = "BSR_bsds500.tgz"
LAYOUTS = ("BSDS500/data/images", "BSDS500")
PARTS = {"trainval": (("train", "val"), 300), "test": (("test",), 200)}


def main() -> None:
    """Reads the command line; joins training and validation images, and copies the test images."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("downloads", type=Path, help="folder of the archive, or of its contents")
    parser.add_argument("--out", type=Path, default=Path("data/BSD500"))
    args = parser.parse_args()

    for part, (folders, count) in PARTS.items():
        target = args.out / part
        target.mkdir(parents=True, exist_ok=True)
        for folder in folders:
            for image in list_images(find(folder, args.downloads, args.out)):
                shutil.copy(image, target)
        found = len(list_images(target))
        if found != count:
            raise SystemExit(f"BSD500 has {count} images in {part}, but {target} holds {found}")


def find(folder: str, downloads: Path, out: Path) -> Path:
    """The folder of a part, in the layout of the archive or without its inner folders."""
    for layout in LAYOUTS:
        if obtain_folder(f"{layout}/{folder}", [ARCHIVE], downloads, out):
            return out / layout / folder
    raise SystemExit(f"Neither {ARCHIVE} nor BSDS500/{folder} is in {downloads}")


if __name__ == "__main__":
    main()
