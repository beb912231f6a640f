"""Values that are numbers: what is saved, decoded and exported has no NaN and no infinity."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

__all__ = ["not_finite", "require_finite"]

STATISTICS = ("running_mean", "running_var")


def not_finite(module: nn.Module) -> str | None:
    """Names the parameters and normalisation statistics of a module that are not finite.

    Other buffers are not checked: NaN is the initial value of some.

    Args:
        module: Any module.

    Returns:
        None where all are finite, at the cost of one fused pass over them; else a clause that
        counts them and names the first ones.
    """
    values = [(name, value.detach()) for name, value in _values(module) if value.numel()]
    if not values or _finite([value for _, value in values]):
        return None
    names = [name for name, value in values if not _finite([value])]
    more = ", ..." if len(names) > 3 else ""
    return (
        f"{len(names)} tensor(s) have values that are NaN or infinite: {', '.join(names[:3])}{more}"
    )


def require_finite(module: nn.Module, source: str | Path) -> None:
    """Refuses a module with values that are not finite.

    Args:
        module: Any module.
        source: What it was read from, for the error.

    Raises:
        FloatingPointError: With the names of the first of these values.
    """
    if found := not_finite(module):
        raise FloatingPointError(
            f"{source}: {found}. The training that made them has diverged: take an earlier "
            "checkpoint."
        )


def _values(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters()
    for name, buffer in module.named_buffers():
        if name.rpartition(".")[2] in STATISTICS:
            yield name, buffer


def _finite(values: Sequence[Tensor]) -> bool:
    """Whether the norms are finite, which are computed together as for clipping gradients."""
    values = [v.float() if v.dtype in (torch.float16, torch.bfloat16) else v for v in values]
    norms = torch._foreach_norm(values)
    return bool(torch.stack([norm.double() for norm in norms]).isfinite().all())
