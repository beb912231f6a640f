"""The runner of a search by reinforcement learning."""

from typing import Any

from mmengine.runner import Runner

from mmsrnas.registry import RUNNERS

__all__ = ["RLSearchRunner"]

HOOKS_OF_A_SEARCH = ("GenotypeHook", "ExactResumeHook")


@RUNNERS.register_module()
class RLSearchRunner(Runner):
    """mmengine's runner, with what every search by reinforcement learning needs.

    It adds :class:`~mmsrnas.engine.hooks.GenotypeHook` and
    :class:`~mmsrnas.engine.hooks.ExactResumeHook` where the config does not name them.
    The alternation of weights and policy is that of
    :class:`~mmsrnas.engine.runner.RLSearchLoop`; the stock runner runs it, too.

    Args:
        *args: As for ``Runner``.
        train_cfg: Config of an ``RLSearchLoop``.
        custom_hooks: Configs of further hooks.
        **kwargs: As for ``Runner``.

    Raises:
        ValueError: ``train_cfg`` is that of another loop.
    """

    def __init__(
        self,
        *args: Any,
        train_cfg: dict | None = None,
        custom_hooks: list[dict] | None = None,
        **kwargs: Any,
    ) -> None:
        loop = str((train_cfg or {}).get("type"))
        if train_cfg is not None and loop.rpartition(".")[2] != "RLSearchLoop":
            raise ValueError(
                "train_cfg.type: runner_type='RLSearchRunner' runs 'mmsrnas.RLSearchLoop', "
                f"got {loop!r}. Leave runner_type out for another loop."
            )
        hooks = list(custom_hooks or [])
        named = [*hooks, *filter(None, (kwargs.get("default_hooks") or {}).values())]
        present = {str(hook.get("type")).rpartition(".")[2] for hook in named}
        hooks += [{"type": f"mmsrnas.{name}"} for name in HOOKS_OF_A_SEARCH if name not in present]
        super().__init__(*args, train_cfg=train_cfg, custom_hooks=hooks, **kwargs)
