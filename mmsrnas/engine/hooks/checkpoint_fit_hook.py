"""What a run loads, checked before it is used."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import BaseLoop, Runner
from torch import nn

from mmsrnas.checkpoint import EMA, Checkpoint, CheckpointError
from mmsrnas.engine.plain_checkpoint import restore_history
from mmsrnas.engine.supernet import is_training, unwrap
from mmsrnas.genotypes import Genotype
from mmsrnas.registry import HOOKS

__all__ = ["CheckpointFitHook", "inference_part"]

# Where schedulers and optimizers keep how far they are; the rest comes from the config.
PROGRESS = {"last_step", "_global_step", "_last_value", "base_values", "verbose"}
PROGRESS |= {"state", "params", "lr", "loss_scaler", "base_param_settings"}
PROGRESS |= {"best", "cooldown_counter", "num_bad_epochs"}  # of plateaus


@HOOKS.register_module()
class CheckpointFitHook(Hook):
    """Refuses a checkpoint of another network, which mmengine loads in part and goes on.

    * ``resume`` needs every weight of the model, and no other.
    * ``load_from`` needs the ``generator``; averaged weights that are missing start from it.
    * Both need the genotype of the checkpoint, where it has one.
    * A test needs the weights that the editor infers with: the averaged ones where it has them.

    Names of weights are understood as :class:`~mmsrnas.checkpoint.Checkpoint` does. A resumed run
    keeps the schedule and the optimizer of its checkpoint: where those of the config differ, a
    warning names them. Paths in the checkpoint count by their names alone, so that a run in a
    copied work dir leaves the original alone.

    Args:
        new_modules: Modules of the generator that start anew with ``load_from``, e.g. the
            ``'upsample'`` of another scale.

    Raises:
        CheckpointError: The checkpoint does not fit; nothing has been loaded.
    """

    priority = "VERY_HIGH"

    def __init__(self, new_modules: Sequence[str] = ()) -> None:
        self.new_modules = tuple(f"{name}." for name in new_modules)

    @classmethod
    def ensure(cls, runner: Runner) -> None:
        """Registers the hook unless the config did."""
        if not any(isinstance(hook, cls) for hook in runner.hooks):
            runner.register_hook(cls())

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Checks the weights against the model, and renames them to its names."""
        model = unwrap(runner.model)
        evaluates = _evaluates(runner)
        resumed = runner._resume and not evaluates
        key = "resume" if resumed else "load_from"
        source = runner._load_from or os.path.join(runner.work_dir, "last_checkpoint")
        loaded = Checkpoint(str(source), checkpoint, key)
        if resumed:
            loaded.require_fit(model.state_dict(), loaded.weights, "")
            _check_meta(loaded)
            checkpoint["state_dict"] = loaded.weights
            restore_history(checkpoint)
            _rebase_best(runner, checkpoint)
            _warn_of_changes(runner, checkpoint)
        elif hasattr(model, "generator"):
            part = inference_part(model) if evaluates else "generator"
            new_modules = () if evaluates else self.new_modules
            checkpoint["state_dict"] = _for_editor(model, loaded, part, new_modules)
        elif evaluates:
            loaded.require_fit(model.state_dict(), loaded.weights, "")
        if not evaluates:
            _check_genotype(model, loaded, any_scale=bool(self.new_modules) and not resumed)
        # A config that mmengine < 0.1 saved here, which resuming would execute.
        checkpoint.get("meta", {}).pop("config", None)


def _evaluates(runner: Runner) -> bool:
    """Tells a validation or test from what ends in training."""
    loops = (runner._val_loop, runner._test_loop)
    return not is_training(runner) and any(isinstance(loop, BaseLoop) for loop in loops)


def inference_part(editor: nn.Module) -> str:
    """Name of the network that an editor infers with.

    Args:
        editor: An editor of ours or of mmagic.

    Returns:
        ``'generator_ema'`` where it averages weights, else ``'generator'``.
    """
    averaged = getattr(editor, EMA, None) is not None and getattr(editor, "is_use_ema", True)
    return EMA if averaged else "generator"


def _for_editor(
    model: nn.Module, loaded: Checkpoint, part: str, new_modules: tuple[str, ...]
) -> dict[str, Any]:
    """Weights that fit an editor: one part for certain, the others as they are."""
    network, expected = (
        {name: weight for name, weight in weights.items() if not name.startswith(new_modules)}
        for weights in (loaded.require_part(part), getattr(model, part).state_dict())
    )
    loaded.require_fit(expected, network, part)
    others = tuple(f"{name}." for name, _ in model.named_children() if name != part)
    state = {name: w for name, w in loaded.weights.items() if name.startswith(others)}
    if inference_part(model) == EMA and not loaded.part(EMA):
        state |= {f"{EMA}.{name}": weight for name, weight in network.items()}
    return state | {f"{part}.{name}": weight for name, weight in network.items()}


def _check_genotype(model: nn.Module, loaded: Checkpoint, any_scale: bool) -> None:
    current = getattr(getattr(model, "generator", None), "genotype", None)
    stored = loaded.genotype
    if not isinstance(current, Genotype) or stored is None:
        return
    if any_scale and hasattr(stored, "upscale_factor"):
        stored = stored.replace(upscale_factor=getattr(current, "upscale_factor", None))
    if stored != current:
        raise CheckpointError(
            f"{loaded}: it is of {loaded.genotype}, model.generator.genotype of {current}."
        )


def _check_meta(loaded: Checkpoint) -> None:
    for name in ("iter", "epoch"):
        if not isinstance(loaded.meta.get(name), int):
            raise CheckpointError(
                f"{loaded}: it is no checkpoint of a run, meta.{name} is "
                f"{loaded.meta.get(name)!r}. --cfg-options load_from=... starts from its weights."
            )


def _rebase_best(runner: Runner, checkpoint: dict) -> None:
    """Makes the best checkpoint one of this work dir; a hook deletes it when a better one comes."""
    folders = [_folder(runner, hook) for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    info = checkpoint.get("message_hub", {}).get("runtime_info", {})
    for key in [key for key in info if key.startswith(("best_ckpt", "last_ckpt"))]:
        name = Path(str(info.pop(key))).name
        here = [folder / name for folder in folders if (folder / name).is_file()]
        if here and name.endswith(".pth"):
            info[key] = str(here[0])
    if "keep_ckpt_ids" in info:
        ids = info["keep_ckpt_ids"]
        info["keep_ckpt_ids"] = [step for step in ids if type(step) is int]


def _folder(runner: Runner, hook: CheckpointHook) -> Path:
    """Where a hook will write, before it knows itself."""
    work_dir = Path(runner.work_dir)
    if hook.out_dir in (None, runner.work_dir):
        return work_dir
    return Path(hook.out_dir) / work_dir.name


def _warn_of_changes(runner: Runner, checkpoint: dict) -> None:
    pairs = [
        ("param_scheduler", checkpoint.get("param_schedulers"), runner.param_schedulers),
        ("optim_wrapper", checkpoint.get("optimizer"), runner.optim_wrapper),
    ]
    for name, saved, current in pairs:
        for key, old, new in _changes(_state(saved), _state(current), name):
            runner.logger.warning(
                f"{key} is {new!r} in the config and {old!r} in the checkpoint: the resumed run "
                "keeps that of the checkpoint. Start a new run with load_from to change it."
            )


def _state(value: Any) -> Any:
    """The states of schedulers and optimizers, however they are nested."""
    if hasattr(value, "state_dict"):
        value = value.state_dict()
    if isinstance(value, Mapping):
        return {key: _state(item) for key, item in value.items() if key not in PROGRESS}
    return [_state(item) for item in value] if isinstance(value, list | tuple) else value


def _changes(old: Any, new: Any, key: str) -> Iterator[tuple[str, Any, Any]]:
    """What differs between two nested states, with its path."""
    names = {*old, *new} if isinstance(old, dict) and isinstance(new, dict) else {0}
    if all(isinstance(name, str) for name in names):
        for name in old.keys() & new.keys():
            yield from _changes(old[name], new[name], f"{key}.{name}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            yield from _changes(*pair, f"{key}[{index}]")
    elif old is not None and new is not None and old != new:
        yield key, old, new
