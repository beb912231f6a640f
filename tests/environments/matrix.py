"""Builds the environments that docs/get-started.md promises, and runs a search in each.

``python tests/environments/matrix.py [ROW ...]`` (``make matrix``)

One virtual environment after the other is built in a temporary folder by the commands of the page,
runs ``smoke.py`` and is removed; old builds of torch take several GB.  The last lines are the table
of the page.  Exit code 1 when a row failed.  ``python3.10`` to ``python3.13`` must be on the path.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Row:
    """One environment; ``torchvision`` is the release that belongs to ``torch``."""

    python: str
    torch: str
    torchvision: str
    numpy: str
    engine: str

    def __str__(self) -> str:
        values = (self.python, self.torch, self.numpy, self.engine.replace("==", " "))
        return f"| {' | '.join(values)} |"


MMENGINE, ONEDL = "mmengine==0.10.7", "onedl-mmengine==0.10.12"
ROWS = (
    Row("3.10", "2.6.0", "0.21.0", "1.26.4", ONEDL),
    Row("3.11", "2.13.0", "0.28.0", "1.26.4", MMENGINE),
    Row("3.11", "2.13.0", "0.28.0", "2.4.6", ONEDL),
    Row("3.12", "2.6.0", "0.21.0", "2.4.6", MMENGINE),
    Row("3.13", "2.13.0", "0.28.0", "2.4.6", ONEDL),
)
HEADER = "| Python | torch | numpy | mmengine |\n|---|---|---|---|"
NEEDED_BY_MMCV = ("addict", "packaging", "pillow", "pyyaml", "yapf", "opencv-python")
NEEDED_BY_MMAGIC = ("click", "einops", "lmdb", "requests", "tqdm")


def commands(row: Row) -> list[list[str]]:
    """The arguments of ``pip install``, one list a call."""
    return [
        [f"torch=={row.torch}", f"torchvision=={row.torchvision}", f"numpy=={row.numpy}"],
        ["setuptools<81", row.engine, *NEEDED_BY_MMCV, *NEEDED_BY_MMAGIC, f"numpy=={row.numpy}"],
        # Without what they ask for: mmcv-lite asks for mmengine, whichever engine is there.
        ["--no-deps", "--no-build-isolation", "mmcv-lite==2.1.0", "mmagic==1.2.0"],
        [str(ROOT), f"numpy=={row.numpy}"],
    ]


def run(row: Row, folder: Path) -> bool:
    """Builds the environment, runs the smoke test and removes the environment."""
    print(f"=== {row}", flush=True)
    environment = folder / "venv"
    python = str(environment / "bin/python")
    steps = [[f"python{row.python}", "-m", "venv", str(environment)]]
    pip = [python, "-m", "pip", "install", "--quiet"]
    steps += [[*pip, "--upgrade", "pip", "wheel"]]
    steps += [pip + arguments for arguments in commands(row)]
    steps += [[python, str(ROOT / "tests/environments/smoke.py")]]
    try:
        return all(subprocess.run(step, cwd=folder, check=False).returncode == 0 for step in steps)
    finally:
        shutil.rmtree(environment, ignore_errors=True)


def main() -> None:
    """Runs the rows that are named by number, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", type=int, help=f"0 to {len(ROWS) - 1}; default all")
    chosen = [ROWS[i] for i in parser.parse_args().rows] or list(ROWS)
    with tempfile.TemporaryDirectory(prefix="matrix_") as folder:
        passed = {row: run(row, Path(folder)) for row in chosen}
    print(HEADER)
    for row, ok in passed.items():
        print(row if ok else f"{row} FAILED")
    sys.exit(not all(passed.values()))


if __name__ == "__main__":
    main()
