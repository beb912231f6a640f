"""The runner of a search by reinforcement learning."""

from typing import Any

from mmengine.runner import Runner

from mmsrnas.registry import RUNNERS

__all__ = ["RLSearchRunner"]

HOOKS = {"genotype": "GenotypeHook", "exact_resume": "ExactResumeHook"}
"""Hooks that a search needs, by their names in ``default_hooks``."""


@RUNNERS.register_module()
class RLSearchRunner(Runner):
    """mmengine's runner, with the hooks that a search by reinforcement learning needs.

    Where the config does not name them, it adds ``default_hooks.genotype``, a
    :class:`~mmsrnas.engine.hooks.GenotypeHook`, which writes the result, and
    ``default_hooks.exact_resume``, an :class:`~mmsrnas.engine.hooks.ExactResumeHook`. None as
    their value leaves them out. The alternation of weights and policy is that of
    :class:`~mmsrnas.engine.runner.RLSearchLoop`.

    Args:
        *args: As for ``Runner``.
        train_cfg: Config of an ``RLSearchLoop``.
        default_hooks: Configs of hooks by name.
        custom_hooks: Configs of further hooks.
        **kwargs: As for ``Runner``.

    Raises:
        ValueError: ``train_cfg`` is that of another loop.
    """

    def __init__(
        self,
        *args: Any,
        train_cfg: dict | None = None,
        default_hooks: dict[str, dict | None] | None = None,
        custom_hooks: list[dict] | None = None,
        **kwargs: Any,
    ) -> None:
        loop = str((train_cfg or {}).get("type"))
        if train_cfg is not None and loop.rpartition(".")[2] != "RLSearchLoop":
            raise ValueError(
                "train_cfg.type: runner_type='RLSearchRunner' runs 'mmsrnas.RLSearchLoop', "
                f"got {loop!r}. Leave runner_type out for another loop."
            )
        hooks: dict[str, Any] = dict(default_hooks or {})
        named = [*(custom_hooks or []), *filter(None, hooks.values())]
        present = {str(hook.get("type")).rpartition(".")[2] for hook in named}
        for name, kind in HOOKS.items():
            if kind not in present:
                hooks.setdefault(name, {"type": f"mmsrnas.{kind}"})
            if hooks.get(name, kind) is None:  # mmengine knows None for its own hooks alone
                del hooks[name]
        customs: Any = custom_hooks
        super().__init__(
            *args, train_cfg=train_cfg, default_hooks=hooks, custom_hooks=customs, **kwargs
        )
