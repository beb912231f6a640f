"""Quality and cost of networks beside what needs no network."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.config import Config

from mmsrnas.analysis.compare import compare
from mmsrnas.analysis.contenders import classical_words, load_contenders
from mmsrnas.analysis.tables import Row
from mmsrnas.files import atomic_write

from .budget import MAX_SPREAD, Budget
from .planning import Plan

__all__ = ["classical_best", "compared", "psnr_of"]


def compared(plan: Plan, budget: Budget, networks: Mapping[str, Path]) -> list[Row]:
    """Tests networks on the photographs that nothing has seen.

    Writes ``table.json``, and into ``test`` what :func:`~mmsrnas.analysis.compare.compare` does.

    Args:
        plan: The plan.
        budget: Its budget.
        networks: Checkpoint by name.

    Returns:
        A row for each classical method and each network.

    Raises:
        RuntimeError: The test of a network failed.
    """
    texts = [*classical_words(plan.scale), *(f"{name}={path}" for name, path in networks.items())]
    contenders = load_contenders(texts, plan.scale, plan.made_of["sigma"] or 25.0)
    found = compare(
        contenders,
        Config.fromfile(plan.config("data")),
        plan.folder / "test",
        resume=True,
        target=budget.cost.target if budget.is_latency else None,
        max_spread=MAX_SPREAD,
    )
    if found.failures:
        raise RuntimeError(f"the test failed: {found.failures}; the same command goes on.")
    with atomic_write(plan.folder / "table.json") as path:
        path.write_text(json.dumps(found.rows, indent=2))
    return found.rows


def psnr_of(row: Row) -> float:
    """PSNR in dB of a row."""
    return next(value for column, value in row.items() if column.endswith("/PSNR"))


def classical_best(rows: Sequence[Row]) -> float:
    """PSNR in dB of the best method that needs no network."""
    return max(psnr_of(row) for row in rows if "params" not in row)
