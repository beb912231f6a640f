"""Prepares the test sets Set5, Set14, B100, Urban100 and Manga109.

``python tools/dataset_converters/prepare_benchmarks.py downloads --out data``
"""

import argparse
import os
from pathlib import Path

from mmsrnas.datasets.archives import obtain_folder
from mmsrnas.datasets.checks import is_gray_copy
from mmsrnas.datasets.prepare import list_images, write_pairs

# Names of the sets in the wild, and their numbers of images.
SETS = {
    "Set5": (["Set5"], 5),
    "Set14": (["Set14"], 14),
    "B100": (["B100", "BSD100", "BSDS100"], 100),
    "Urban100": (["Urban100"], 100),
    "Manga109": (["Manga109", "manga109"], 109),
}


def find_images(names: list[str], downloads: Path, out: Path) -> Path | None:
    """Folder of the HR images of a set: its ``HR``, or the set's folder itself."""
    for name in names:
        if obtain_folder(name, ["benchmark.tar", f"{name}.zip", f"{name}.tar"], downloads, out):
            folder = out / name
            return folder / "HR" if (folder / "HR").is_dir() else folder
    return None


def main() -> None:
    """Reads the command line, writes the sets that were found and names the others."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("downloads", type=Path, help="folder of benchmark.tar or of the sets")
    parser.add_argument("--out", type=Path, default=Path("data"))
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--scales", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--layout", choices=["papers", "mmagic"], default="papers")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="number of processes")
    args = parser.parse_args()

    missing = []
    for name in args.sets:
        names, count = SETS[name]
        images = find_images(names, args.downloads, args.out / "downloaded")
        if images is None:
            missing.append(name)
            continue
        found = len(list_images(images))
        if found != count:
            raise SystemExit(f"{name} has {count} images, but {images} holds {found}")
        print(f"{name}: {images} -> {args.out / name}")
        if is_gray_copy(images):
            print(f"Warning: {name} is a set of colour images, but those of {images} are gray")
        write_pairs(images, args.out / name, args.scales, args.layout, args.jobs)
    if missing:
        raise SystemExit(f"Not found in {args.downloads}: {', '.join(missing)}")


if __name__ == "__main__":
    main()
