"""Packaging: the metadata is in pyproject.toml; the folder ``.mim`` is added here.

``mim`` and mmengine look for a package's configs and tools in ``<package>/.mim``.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
CARRIED = ("configs", "tools", "model-index.yml")


class BuildWithConfigs(build_py):
    """Copies configs, tools and the model index into the package; links them when editable."""

    def run(self):
        super().run()
        parent = ROOT / "mmsrnas" if self.editable_mode else Path(self.build_lib) / "mmsrnas"
        shutil.rmtree(parent / ".mim", ignore_errors=True)
        (parent / ".mim").mkdir(parents=True)
        for name in CARRIED:
            source, target = ROOT / name, parent / ".mim" / name
            if self.editable_mode:
                target.symlink_to(Path("../..") / name)
            elif source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, target)


setup(cmdclass={"build_py": BuildWithConfigs})
