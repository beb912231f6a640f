"""Tests in the runtime that ``mmsrnas infer`` takes."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmsrnas.apis.generator import folded
from mmsrnas.models.supernet import Supernet

from .model import load_model
from .runtimes import RuntimeNet, faster, in_runtime

__all__ = ["RuntimeHook"]


class RuntimeHook(Hook):
    """Puts another runtime in the place of the network before a test on the CPU.

    A test and ``mmsrnas infer`` then make the same bytes. Supernets stay in torch.

    Args:
        runtime: As for :class:`~mmsrnas.apis.inference.Restorer`.
    """

    def __init__(self, runtime: str = "auto") -> None:
        self.runtime = runtime

    def before_test(self, runner: Runner) -> None:
        """Replaces the network that the editor infers with.

        Raises:
            ValueError: The runtime that is asked for does not do what torch does.
        """
        editor: Any = runner.model.module if is_model_wrapper(runner.model) else runner.model
        name = "generator_ema" if getattr(editor, "is_use_ema", False) else "generator"
        network = getattr(editor, name)
        if isinstance(network, Supernet) or next(editor.parameters()).is_cuda:
            return
        try:
            model = load_model(folded(network))
            model = faster(model) if self.runtime == "auto" else in_runtime(model, self.runtime)
        except ValueError as error:  # editors of other tasks map more than one image to one
            if self.runtime != "auto":
                raise
            runner.logger.info(f"Runtime: torch ({error}).")
            return
        setattr(editor, name, RuntimeNet(model))
        runner.logger.info(f"Runtime: {model}.")
