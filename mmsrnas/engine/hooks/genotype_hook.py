"""The result of a search, written while it runs."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

import mmsrnas
from mmsrnas.engine.supernet import find_supernet
from mmsrnas.genotypes.drawing import draw_genotype
from mmsrnas.registry import HOOKS

__all__ = ["GenotypeHook"]


@HOOKS.register_module()
class GenotypeHook(Hook):
    """Writes ``genotype.json`` and ``genotype.png`` at every validation and at the end.

    Both lie in the work directory and show the supernet of that moment; the JSON says where it
    comes from. The genotype is also logged, and its drawing goes to the visualizer.
    """

    priority = "LOW"

    def before_train(self, runner: Runner) -> None:
        """Checks the model before work is spent."""
        find_supernet(runner.model)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Writes the genotype of this moment."""
        self._write(runner)

    def after_train(self, runner: Runner) -> None:
        """Writes the genotype that the search found."""
        self._write(runner)

    @master_only
    def _write(self, runner: Runner) -> None:
        genotype = find_supernet(runner.model).genotype()
        folder = Path(runner.work_dir)
        genotype.save(folder / "genotype.json", provenance=_provenance(runner))
        image = draw_genotype(genotype, folder / "genotype.png")
        runner.visualizer.add_image("genotype", image, step=runner.iter)
        runner.logger.info(f"Genotype at iteration {runner.iter}: {genotype}")


def _provenance(runner: Runner) -> dict[str, Any]:
    packages = ("torch", "mmengine", "mmagic")
    return {
        "config": Path(runner.cfg.filename).name if runner.cfg.filename else None,
        "seed": runner.seed,
        "iteration": runner.iter,
        "versions": {"mmsrnas": mmsrnas.__version__} | {name: _version(name) for name in packages},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
