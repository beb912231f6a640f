"""Translation of the released DLSR weights."""

import re
from collections.abc import Mapping

from torch import Tensor

__all__ = ["translate_official_keys", "translated_ops"]

_CELL = {
    "c1_d": "distill.0",
    "c2_d": "distill.1",
    "c3_d": "distill.2",
    "c1_r": "ops.0",
    "c2_r": "ops.1",
    "c3_r": "ops.2",
    "c4": "last",
    "c5": "fuse",
    "esa.conv1": "attention.reduce",
    "esa.conv_f": "attention.skip",
    "esa.conv2": "attention.down",
    "esa.conv_max": "attention.body.0",
    "esa.conv3_": "attention.body.4",
    "esa.conv3": "attention.body.2",
    "esa.conv4": "attention.expand",
}
_NETWORK = {
    "fea_conv": "conv_first",
    "c3.0": "connections.0",
    "c4.0": "connections.1",
    "c5.0": "connections.2",
    "c6.0": "connections.3",
    "cout.0": "fuse",
    "LR_conv": "conv_last",
    "upsampler.0": "upsample.0",
}
# The supernets count their connections one lower, and have no `cout`.
_SUPERNET = {f"c{i + 2}.0": f"connections.{i}" for i in range(4)} | {
    "fea_conv": "conv_first",
    "c6.0": "fuse",
    "LR_conv": "conv_last",
    "upsampler.0": "upsample.0",
}
_OP = {
    ("0",): ("",),
    ("1", "2"): ("depthwise.", "pointwise."),
    ("1", "2", "4", "5"): ("depthwise1.", "pointwise1.", "depthwise2.", "pointwise."),
}


def translate_official_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames the entries of a released network or supernet to those of mmsrnas.

    Args:
        state: ``state_dict`` of ``RFDN``, of the released network or supernet files.

    Returns:
        The same tensors under the names of ``DLSRNet`` or ``DLSRSupernet``.

    Raises:
        KeyError: An entry that no released DLSR file has.
    """
    outer = _NETWORK if "cout.0.weight" in state else _SUPERNET
    return {_translate(key, state, outer): tensor for key, tensor in state.items()}


def _translate(key: str, state: Mapping[str, Tensor], outer: Mapping[str, str]) -> str:
    module, _, leaf = key.rpartition(".")
    if module in outer:
        return f"{outer[module]}.{leaf}"
    if match := re.fullmatch(r"B(\d)\.(.+)", module):
        cell, inner = f"cells.{int(match[1]) - 1}", match[2]
        if inner in _CELL:
            return f"{cell}.{_CELL[inner]}.{leaf}"
        if match := re.fullmatch(r"(c[123]_r)(?:\.layers\.(\d))?\.op\.(\d)", inner):
            candidate = f"ops.{match[2]}." if match[2] else ""
            part = _op_part(module.removesuffix(match[3]), match[3], state)
            return f"{cell}.{_CELL[match[1]]}.{candidate}{part}{leaf}"
    raise KeyError(f"{key!r} is no entry of a released DLSR checkpoint.")


def _op_part(prefix: str, index: str, state: Mapping[str, Tensor]) -> str:
    indices = tuple(i for i in "01245" if f"{prefix}{i}.weight" in state)
    return dict(zip(indices, _OP[indices], strict=True))[index]


def translated_ops(state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Reads the operations of the cells off translated weights.

    Args:
        state: Result of :func:`translate_official_keys` for a network.

    Returns:
        Names of the three operations of the first cell.
    """
    return tuple(_op_name(f"cells.0.ops.{index}.", state) for index in range(3))


def _op_name(prefix: str, state: Mapping[str, Tensor]) -> str:
    kinds = {"weight": "conv", "depthwise1.weight": "sep_conv", "depthwise.weight": "dil_conv"}
    leaf = next(leaf for leaf in kinds if prefix + leaf in state)
    size = state[prefix + leaf].size(-1)
    return f"{kinds[leaf]}_{size}x{size}"
