"""The result of a search, written while it runs."""

from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmsrnas.engine.provenance import provenance
from mmsrnas.engine.supernet import find_supernet, is_training
from mmsrnas.finite import require_finite
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
        if is_training(runner):
            self._write(runner)

    def after_train(self, runner: Runner) -> None:
        """Writes the genotype that the search found."""
        self._write(runner)

    @master_only
    def _write(self, runner: Runner) -> None:
        supernet = find_supernet(runner.model)
        require_finite(supernet, f"The supernet at iteration {runner.iter}")
        genotype = supernet.genotype()
        folder = Path(runner.work_dir)
        origin = provenance(runner.cfg.filename, runner.seed, runner.iter)
        genotype.save(folder / "genotype.json", origin)
        image = draw_genotype(genotype, folder / "genotype.png")
        runner.visualizer.add_image("genotype", image, step=runner.iter)
        runner.logger.info(f"Genotype at iteration {runner.iter}: {genotype}")
