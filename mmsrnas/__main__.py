"""Runs a script with :mod:`mmsrnas.compat` applied: ``python -m mmsrnas path/to/script.py ...``.

Tools of mmagic import mmagic before they read a config, too early for a plugin that the config
names.  This runs them, unchanged, where mmagic alone does not import.
"""

import runpy
import sys
from pathlib import Path


def main() -> None:
    """Runs the script named first on the command line with the arguments that follow it."""
    if len(sys.argv) < 2 or not Path(sys.argv[1]).is_file():
        sys.exit("usage: python -m mmsrnas SCRIPT [ARGUMENTS ...]\nSCRIPT is a Python file.")
    del sys.argv[0]
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)  # as `python SCRIPT` does
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
