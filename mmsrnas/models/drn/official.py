"""Translation of the released DRN and DRC weights."""

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

__all__ = ["translate_official_dual_keys", "translate_official_keys"]

_RCAB = {
    "body.0": "conv1",
    "body.2": "conv2",
    "body.3.conv_du.0": "attention.squeeze",
    "body.3.conv_du.2": "attention.excite",
}
_PATTERNS = (
    (r"(sub_mean|add_mean)", r"\1"),
    (r"head", "conv_first"),
    (r"tail\.(\d)", r"tails.\1"),
    (r"down\.(\d)\.dual_module\.0\.0", r"down_blocks.\1.conv1"),
    (r"down\.(\d)\.dual_module\.1", r"down_blocks.\1.conv2"),
    (r"up_blocks\.(\d)\.\d+\.0", r"up_blocks.\1.upsample"),
    (r"up_blocks\.(\d)\.\d+", r"up_blocks.\1.reduce"),
)
_DUAL = {"dual_module.0.0.weight": "convs.0.weight", "dual_module.1.weight": "conv_last.weight"}


def translate_official_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames the entries of a released DRN, full or pruned, to those of ``DRNNet``.

    Args:
        state: ``state_dict`` of the released network.

    Returns:
        The same tensors under the names of ``DRNNet``.

    Raises:
        KeyError: An entry that no released DRN has.
    """
    return {_translate(key): tensor for key, tensor in state.items()}


def translate_official_dual_keys(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Renames a released list of dual networks to ``dual_networks`` of the editor, prefix left out.

    Args:
        states: One ``state_dict`` for each level, the lowest resolution first.

    Returns:
        The same tensors as ``{level}.{name in DualNet}``.

    Raises:
        KeyError: An entry that no released dual network has.
    """
    return {
        f"{level}.{_DUAL[key]}": tensor
        for level, state in enumerate(states)
        for key, tensor in state.items()
    }


def _translate(key: str) -> str:
    module, _, leaf = key.rpartition(".")
    if match := re.fullmatch(r"up_blocks\.(\d)\.(\d+)\.(body\..+)", module):
        return f"up_blocks.{match[1]}.blocks.{match[2]}.{_RCAB[match[3]]}.{leaf}"
    for pattern, template in _PATTERNS:
        if match := re.fullmatch(pattern, module):
            return f"{match.expand(template)}.{leaf}"
    raise KeyError(f"{key!r} is no entry of a released DRN checkpoint.")
