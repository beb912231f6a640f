"""Fingerprints of everything that a long job depends on."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from torch import nn

__all__ = ["fingerprint"]


def fingerprint(value: Any) -> str:
    """Hash of the content of a value.

    Args:
        value: Tensors, arrays, modules (their ``state_dict``), data samples with their metadata,
            mappings and sequences of such, and whatever has a ``repr`` that says all.

    Returns:
        Hexadecimal SHA-256; equal for equal content, on every device.
    """
    digest = hashlib.sha256()
    _add(digest, value)
    return digest.hexdigest()


def _add(digest: Any, value: Any) -> None:
    if isinstance(value, nn.Module):
        value = value.state_dict()
    elif isinstance(value, BaseDataElement):
        value = {"meta": dict(value.metainfo_items()), "data": dict(value.items())}
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().contiguous()
        digest.update(f"{value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.flatten().view(torch.uint8).numpy().tobytes())
    elif isinstance(value, np.ndarray):
        _add(digest, torch.from_numpy(np.ascontiguousarray(value)))
    elif isinstance(value, Mapping):
        digest.update(f"mapping {len(value)}".encode())
        for key, item in value.items():
            digest.update(f"{key!r}:".encode())
            _add(digest, item)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        digest.update(f"sequence {len(value)}".encode())
        for item in value:
            _add(digest, item)
    else:
        digest.update(f"{type(value).__name__} {value!r}".encode())
