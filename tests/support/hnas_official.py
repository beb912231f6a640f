"""Translation of the released HNAS weights."""

import re
from collections.abc import Callable, Mapping

from torch import Tensor

from mmsrnas.genotypes import HNAS_NORMAL_OPS, HNAS_UPSAMPLING_OPS

__all__ = ["translate_official_controller_keys", "translate_official_keys"]

Replacement = str | Callable[[re.Match], str]

# The frozen shifts by the mean colour are constants here.
_CONSTANT = ("sub_mean.", "add_mean.")

_NETWORK: tuple[tuple[str, Replacement], ...] = (
    (r"^final_conv\.", "conv_last."),
    (r"\.preprocess([01])\.op\.1\.", r".preprocess.\1.0."),
    (r"\.preprocess([01])\.op\.2\.", r".preprocess.\1.1."),
    (
        r"^(cells|upsampling_cells)\.(\d+)\._ops\.(\d+)\._ops\.(\d+)\.",
        lambda m: f"{m[1]}.{m[2]}.edges.{m[3]}.{_OPS[m[1]][int(m[4])]}.",
    ),
    (r"\._ops\.(\d+)\.", r".ops.\1."),
    (r"\.conv_du\.0\.", ".reduce."),
    (r"\.conv_du\.2\.", ".expand."),
    (r"\.(?:op|upsample)\.(\d)\.", r".\1."),
    (
        r"(?:up1\.up|down1\.down)_conv([123])\.(deconv|conv|act)\.",
        lambda m: f"{m[0][: m[0].index('1')]}.{int(m[1]) - 1}.{int(m[2] == 'act')}.",
    ),
    (r"\.deconv\.", "."),
)
_OPS = {"cells": HNAS_NORMAL_OPS, "upsampling_cells": HNAS_UPSAMPLING_OPS}

_CONTROLLER = {
    "node_op_hidden": "embedding",
    "emb_attn": "attention.key",
    "hid_attn": "attention.query",
    "v_attn": "attention.score",
    "w_soft": "op_head",
    "lstm": "lstm",
}


def translate_official_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames the entries of a released network, supernet or projection block to ours.

    Args:
        state: ``state_dict`` of a model of the released code.

    Returns:
        The same tensors under the names of ``HNASNet``, ``HNASSupernet`` or ``UpDownProjection``.
    """
    translated = {}
    for key, tensor in state.items():
        if key.startswith(_CONSTANT):
            continue
        for pattern, replacement in _NETWORK:
            key = re.sub(pattern, replacement, key)
        translated[key] = tensor
    return translated


def translate_official_controller_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames the entries of a released controller to those of ``HNASController``.

    Args:
        state: ``state_dict`` of the released controller.

    Returns:
        The same tensors; the layer of the position that nothing uses is left out.
    """
    translated = {}
    for key, tensor in state.items():
        name, leaf = key.split(".")
        stem = re.sub("_(upsampling|position)$", "", name)
        part = name[len(stem) + 1 :] or "normal"
        if (stem, part) != ("w_soft", "position"):
            translated[f"{part}.{_CONTROLLER[stem]}.{leaf}"] = tensor
    return translated
