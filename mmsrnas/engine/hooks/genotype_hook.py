"""The result of a search, written while it runs."""

import math
from collections.abc import Mapping
from pathlib import Path

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmsrnas.engine.provenance import provenance
from mmsrnas.engine.supernet import find_supernet, is_training, unwrap
from mmsrnas.finite import require_finite
from mmsrnas.genotypes.drawing import draw_genotype
from mmsrnas.registry import HOOKS

__all__ = ["GenotypeHook"]

BEST = "best_genotype_score"


@HOOKS.register_module()
class GenotypeHook(Hook):
    """Result of a search: ``genotype.json`` and ``genotype.png`` in the work directory.

    They are written at every validation and at the end, or with ``best`` at every validation that
    is better than all before. The JSON says where the genotype comes from. It is also logged, and
    its drawing goes to the visualizer.

    Args:
        best: Validation metrics and their weights; the genotype with the largest weighted sum is
            kept: ``{"Set5/PSNR": 1.0}``. None keeps the one of the end.
        best_from: First iteration whose validation counts for ``best``.

    Raises:
        KeyError: The validation has no metric of that name.
    """

    priority = "LOW"

    def __init__(self, best: Mapping[str, float] | None = None, best_from: int = 0) -> None:
        self.best = best
        self.best_from = best_from

    def before_train(self, runner: Runner) -> None:
        """Checks the model before work is spent."""
        find_supernet(runner.model)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Writes the current genotype, if none before was better."""
        if not is_training(runner):
            return
        if self.best is not None and not self._is_best(runner, metrics or {}):
            return
        self._write(runner)

    def after_train(self, runner: Runner) -> None:
        """Writes the genotype of the end, unless the best one was asked for and is there."""
        if self.best is None or runner.message_hub.get_info(BEST) is None:
            self._write(runner)

    def _is_best(self, runner: Runner, metrics: Mapping[str, float]) -> bool:
        weights = self.best or {}
        missing = [name for name in weights if name not in metrics]
        if missing:
            raise KeyError(
                f"GenotypeHook.best: the validation has no metric {missing[0]!r}; it has "
                f"{', '.join(metrics)}."
            )
        score = sum(weight * float(metrics[name]) for name, weight in weights.items())
        best = runner.message_hub.get_info(BEST)
        if runner.iter < self.best_from or not score > (-math.inf if best is None else best):
            return False
        runner.message_hub.update_info(BEST, score)  # which checkpoints keep
        return True

    @master_only
    def _write(self, runner: Runner) -> None:
        supernet = find_supernet(runner.model)
        require_finite(unwrap(runner.model).generator, f"The supernet at iteration {runner.iter}")
        genotype = supernet.genotype()
        folder = Path(runner.work_dir)
        origin = provenance(runner.cfg.filename, runner.seed, runner.iter)
        genotype.save(folder / "genotype.json", origin)
        image = draw_genotype(genotype, folder / "genotype.png")
        runner.visualizer.add_image("genotype", image, step=runner.iter)
        runner.logger.info(f"Genotype at iteration {runner.iter}: {genotype}")
