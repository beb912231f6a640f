"""Configs as the tools read them: with the options of the command line, and checked."""

import inspect
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.runner import Runner

from mmsrnas.checkpoint import read_checkpoint

__all__ = ["ConfigError", "ConfigOptions", "check_keys", "override", "read_config"]

# Those that mmengine itself takes out where they are None.
RUNNER_HOOKS = ("runtime_info", "timer", "sampler_seed", "logger", "param_scheduler", "checkpoint")
PATH_SUFFIXES = (".json", ".pth", ".py", ".yml", ".yaml", ".txt", ".png", ".onnx")
# What mmengine's runner, mmagic's and our tools look up at the top of a config.
KNOWN_KEYS = frozenset(inspect.signature(Runner.__init__).parameters) - {"self", "cfg"} | {
    "_base_",
    "activation_checkpointing",
    "arch_dataloader",
    "auto_scale_lr",
    "compile",
    "custom_imports",
    "find_unused_parameters",
    "model_wrapper_cfg",
    "policy_dataloader",
    "runner_type",
    "skip_missing_test_sets",
    "sync_bn",
}
# Ratio of equal letters from which on a key counts as a misspelt one: one letter less or more, or
# two that changed places.
SIMILARITY = 0.85


class ConfigError(ValueError):
    """A config, or an option of the command line, that cannot mean what it says."""


class ConfigOptions(DictAction):
    """``--cfg-options KEY=VALUE ...`` as in mmengine, with paths left as they are.

    mmengine takes spaces out of every value, and splits it at commas and brackets.
    """

    @staticmethod
    def _parse_iterable(val: str) -> Any:
        text = val.strip("'\"")
        is_path = "/" in text or text.endswith(PATH_SUFFIXES)
        if is_path and (Path(text).exists() or not re.search(r"[,\[\]()]", text)):
            return text
        return DictAction._parse_iterable(val)


def read_config(path: str | Path, options: Mapping[str, Any] | None = None) -> Config:
    """Config file with the options of the command line in it.

    Args:
        path: A config of ours or of mmagic; or a checkpoint (``.pth``), which holds its own.
        options: Values by dotted key, as :class:`ConfigOptions` collects them.

    Returns:
        The config. Named hooks that are None are left out, as mmengine does with its own.

    Raises:
        ConfigError: An option names an item of a list that is not there or a part of a plain value,
            or a key looks like a misspelt one.
        CheckpointError: The checkpoint holds no config that is plain data.
    """
    is_checkpoint = Path(path).suffix == ".pth"
    cfg = read_checkpoint(path).config() if is_checkpoint else Config.fromfile(path)
    override(cfg, options)
    check_keys(cfg, str(path))
    hooks = cfg.get("default_hooks") or {}
    for name in [name for name, hook in hooks.items() if hook is None and name not in RUNNER_HOOKS]:
        del hooks[name]
    return cfg


def override(cfg: Config, options: Mapping[str, Any] | None) -> None:
    """Writes the options of the command line into a config.

    Args:
        cfg: The config.
        options: Values by dotted key, as :class:`ConfigOptions` collects them.

    Raises:
        ConfigError: An option names an item of a list that is not there or a part of a plain value.
    """
    for key, value in (options or {}).items():
        _require_reachable(cfg, key)
        cfg.merge_from_dict({key: value})


def check_keys(keys: Iterable[str], source: str) -> None:
    """Refuses keys at the top of a config that look like misspelt ones.

    Other unknown keys are fine: a config may hold variables of its own.

    Args:
        keys: The keys at the top.
        source: File of the config, for the message.

    Raises:
        ConfigError: With what may have been meant.
    """
    for key in set(keys) - KNOWN_KEYS:
        if any(map(str.isdigit, key)):  # names of data sets, e.g. `test2800_dataloader`
            continue
        # A misspelling rarely touches the first letter; `reds_dataloader` is another name.
        known = [name for name in KNOWN_KEYS if name[0] == key[0]]
        if close := get_close_matches(key, known, n=1, cutoff=SIMILARITY):
            raise ConfigError(
                f"{source}: nothing reads the key '{key}'; did you mean '{close[0]}'? "
                "A variable of your own needs a name that is less similar."
            )


def _require_reachable(cfg: Config, key: str) -> None:
    """Refuses an option that would step into what has no such item."""
    value: Any = cfg._cfg_dict
    *parents, last = key.split(".")
    for depth, part in enumerate([*parents, last]):
        above = ".".join(key.split(".")[:depth])
        if isinstance(value, (list, tuple)):
            if not part.isdigit() or int(part) >= len(value):
                kinds = [item.get("type", "?") for item in value if isinstance(item, dict)]
                named = f" ({', '.join(map(str, kinds))})" if kinds else ""
                raise ConfigError(
                    f"--cfg-options {key}: '{above}' is a list of {len(value)} items{named}; it "
                    f"has no item '{part}'. Existing items are 0 to {len(value) - 1}; a new one "
                    "needs a config of your own, with _base_ and the whole list."
                    if value
                    else f"--cfg-options {key}: '{above}' is an empty list, it has no '{part}'."
                )
            value = value[int(part)]
        elif isinstance(value, Mapping):
            if part not in value:
                if part.isdigit():
                    raise ConfigError(
                        f"--cfg-options {key}: the config has no list '{above}'; "
                        f"its keys are {', '.join(map(str, value)) or 'none'}."
                    )
                return  # a new key
            value = value[part]
        elif value is None:
            return  # mmengine says so where it matters
        else:
            raise ConfigError(
                f"--cfg-options {key}: '{above}' is {value!r}, which has no part '{part}'."
            )
