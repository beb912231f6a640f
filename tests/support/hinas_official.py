"""Translation of checkpoints and genotypes of the released HiNAS code."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from mmsrnas.genotypes import HiNASGenotype

__all__ = ["translate_official_genotype", "translate_official_keys"]

OFFICIAL_LEVELS = 3
ACTIVATIONS = {"leaky": "leaky_relu", "relu": "relu", "prelu": "prelu"}
OPS = {
    "con_c_3x3": "conv_3x3",
    "sep_c_3x3": "sep_conv_3x3",
    "sep_c_5x5": "sep_conv_5x5",
    "dil_c_3x3": "dil_conv_3x3",
    "dil_c_5x5": "dil_conv_5x5",
}
_SEP = {"1": "depthwise", "2": "pointwise", "3": "norm"}
_DENSE = {"1": "conv", "2": "norm"}
_OUTER = (
    (r"stem1\.0\.(\d)", r"stem1.\1"),
    (r"reduce1\.", "reduce."),
    (r"upsamplers\.", "widen."),
    (r"scalers\.(\d+)\.conv\.", lambda m: f"projections.{int(m[1]) // 2}.{int(m[1]) % 2}."),
    (r"decoder\.aspps\.", "contexts."),
    (r"decoder\.pre_conv\.", "context."),
    (r"decoder\.pre_cls\.", "decoder."),
    (r"decoder\.proj\.", "low_level."),
    (r"decoder\.conv(\d)\.", r"decoder.\1."),
    (r"decoder\.clf\.(?:0\.)?", "last.0."),
    (r"(contexts\.\d\.|context\.)conv1\.", r"\1conv."),
    (r"(contexts\.\d\.|context\.)conv_last\.", r"\1fuse."),
    (r"\.op\.sep_(\d)\.(\d)\.", lambda m: f".{_SEP[m[2]]}{int(m[1]) + 1}."),
    (r"\.op\.(\d)\.", lambda m: f".{_DENSE[m[1]]}."),
)


def translate_official_genotype(
    cells: Sequence[Sequence[Sequence]], path: Sequence[int], **fields: Any
) -> HiNASGenotype:
    """Reads a genotype of the released code.

    Args:
        cells: ``(operation, input)`` pairs of each cell, in the names of the released code.
        path: The level of each cell.
        fields: The fields of the genotype that the released files do not have.

    Returns:
        The genotype.

    Raises:
        GenotypeError: An operation that is not in the search space, or an impossible path.
    """
    names = {f"{official}_{suffix}": op for official, op in OPS.items() for suffix in ACTIVATIONS}
    suffixes = {op.rpartition("_")[2] for cell in cells for op, _ in cell} & set(ACTIVATIONS)
    return HiNASGenotype(
        cells=tuple(tuple((names.get(op, op), source) for op, source in cell) for cell in cells),
        path=tuple(path),
        activation=ACTIVATIONS[suffixes.pop()] if len(suffixes) == 1 else "leaky_relu",
        **fields,
    )


def translate_official_keys(
    state: Mapping[str, Tensor], genotype: HiNASGenotype | None = None
) -> dict[str, Tensor]:
    """Renames the entries of a checkpoint of the released code to those of mmsrnas.

    Args:
        state: ``state_dict`` of a derived network or of a supernet with cell sharing.
        genotype: Genotype of the derived network; None for a supernet.

    Returns:
        The tensors under the names of ``HiNASNet`` or ``HiNASSupernet``, without the convolution
        that the released networks carry but do not use.
    """
    if genotype is None:
        return _translate_supernet(state)
    return {
        _translate(re.sub(r"^(cells\.\d+)\._ops\.", r"\1.ops.", key)): tensor
        for key, tensor in state.items()
        if genotype.low_level_cell is None or not key.startswith("reduce.")
    }


def _translate_supernet(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    layers = 0
    routers: list[tuple[int, int]] = []
    cells: list[tuple[int, int]] = []
    while any(key.startswith(f"cells.{len(cells)}.") for key in state):
        cells += [(layers, k) for k in range(min(layers + 2, OFFICIAL_LEVELS))]
        routers += [(layers, i) for i in range(min(layers + 1, OFFICIAL_LEVELS))]
        layers += 1

    def route(match: re.Match) -> str:
        layer, level = routers[int(match[1])]
        return f"routers.{layer}.{level}.{level + int(match[2]) - 1}."

    def cell(match: re.Match) -> str:
        layer, level = cells[int(match[1])]
        return f"cells.{layer}.{level}.edges.{match[2]}.{match[3]}."

    translated = {}
    for key, tensor in state.items():
        if key == "arch_alphas":
            translated["alpha"] = tensor.reshape(-1, *tensor.shape[-2:])
        elif key == "arch_betas":
            translated["beta"] = tensor
        else:
            key = re.sub(r"^routers\.(\d+)\.postprocess(\d)\.", route, key)
            key = re.sub(r"^cells\.(\d+)\._ops\.(\d+)\._ops\.(\d)\.", cell, key)
            translated[_translate(key)] = tensor
    return translated


def _translate(key: str) -> str:
    for pattern, replacement in _OUTER:
        anchored = pattern if pattern.startswith(r"\.") else f"^{pattern}"
        key = re.sub(anchored, replacement, key)
    return key
