"""Early stopping of a search."""

from typing import cast

from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner

from mmsrnas.engine.supernet import find_supernet
from mmsrnas.models.supernet import CollapsibleSupernet, Supernet
from mmsrnas.registry import HOOKS

__all__ = ["SearchEarlyStopHook"]


@HOOKS.register_module()
class SearchEarlyStopHook(Hook):
    """Early stopping of a search whose genotype no longer changes, or whose cells have collapsed.

    A :class:`~mmsrnas.models.supernet.CollapsibleSupernet` says what a collapse is (for example
    more skip connections than operations). Checks are bound to the iteration, not to validation, so
    that a resumed search stops where the uninterrupted one does.

    Args:
        interval: Iterations from one check to the next.
        patience: Checks in a row that must find the same genotype; 0 checks for collapse only.
        begin: Iterations without a check at the start, warm-up included.
    """

    def __init__(self, interval: int, patience: int, begin: int = 0) -> None:
        self.interval = interval
        self.patience = patience
        self.begin = begin
        self.genotype: dict | None = None
        self.unchanged = 0
        self._resumed: dict | None = None

    def before_train(self, runner: Runner) -> None:
        """Checks the model; restores the count where a run is resumed, and stops where it had."""
        supernet = find_supernet(runner.model)
        if self._resumed and runner.iter > 0:
            self.genotype, self.unchanged = self._resumed["genotype"], self._resumed["unchanged"]
            if runner.iter % self.interval == 0 and runner.iter > self.begin:
                self._stop(runner, supernet, runner.iter)
        self._resumed = None

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Checks the current genotype."""
        iteration = runner.iter + 1
        if iteration % self.interval or iteration <= self.begin:
            return
        supernet = find_supernet(runner.model)
        genotype = supernet.genotype().to_dict()
        self.unchanged = self.unchanged + 1 if genotype == self.genotype else 0
        self.genotype = genotype
        self._stop(runner, supernet, iteration)

    def _stop(self, runner: Runner, supernet: Supernet, iteration: int) -> None:
        """Ends the search after this iteration if there is a reason."""
        reason = supernet.collapse() if isinstance(supernet, CollapsibleSupernet) else None
        if self.patience and self.unchanged >= self.patience:
            reason = reason or f"the genotype is the same as {self.patience} checks ago"
        if reason:
            runner.logger.info(f"The search stops at iteration {iteration}: {reason}.")
            cast(IterBasedTrainLoop, runner.train_loop).stop_training = True

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Saves the count."""
        state = {"genotype": self.genotype, "unchanged": self.unchanged}
        checkpoint["search_early_stop"] = state

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keeps the count until training starts; it only applies to a resumed run."""
        self._resumed = checkpoint.get("search_early_stop")
