"""A run's state in tensors and plain values, which every torch loads safely."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

__all__ = ["make_plain", "restore_history"]


def make_plain(value: Any) -> Any:
    """Copies nested state with mmengine's log history, counters and numpy's values made plain.

    Args:
        value: Entry of a checkpoint that is about to be saved.

    Returns:
        The same in tensors, numbers, strings, lists, tuples and dicts.
    """
    if isinstance(value, HistoryBuffer):
        history, counts = map(torch.from_numpy, value.data)
        return dict(log_history=history, count_history=counts, max_length=value.max_length)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Counter):
        return dict(value)
    if isinstance(value, Mapping):
        make: Any = type(value)
        return make((key, make_plain(item)) for key, item in value.items())
    if type(value) in (list, tuple):
        return type(value)(make_plain(item) for item in value)
    return value


def restore_history(checkpoint: dict) -> None:
    """Turns the plain log history of a checkpoint into mmengine's.

    Args:
        checkpoint: What was loaded, also by stock mmengine; its ``message_hub`` is changed.
    """
    scalars = checkpoint.get("message_hub", {}).get("log_scalars", {})
    for name, value in scalars.items():
        if isinstance(value, dict):
            history, counts = (value[k].cpu().numpy() for k in ("log_history", "count_history"))
            scalars[name] = HistoryBuffer(history, counts, value["max_length"])
