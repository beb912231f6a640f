"""What came out, on a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmsrnas.analysis.plots import plot_curves, read_scalars
from mmsrnas.apis.export import ExportReport
from mmsrnas.files import atomic_write

from .budget import Budget
from .comparison import Row
from .planning import Plan

__all__ = ["SEARCHED", "Result", "classical_best", "write_report"]

SEARCHED = "searched"


@dataclass(frozen=True)
class Result:
    """What the stages of a plan have found.

    Attributes:
        derived: What was derived, in a sentence.
        trials: PSNR in dB of the trials by training, for each kind of network.
        rows: The table.
        shipped: The exported files.
    """

    derived: str
    trials: Mapping[str, Mapping[str, float]]
    rows: Sequence[Row]
    shipped: Sequence[ExportReport]


def classical_best(rows: Sequence[Row]) -> float:
    """PSNR in dB of the best method that needs no network."""
    return max(row["psnr"] for row in rows if "cost" not in row)


def write_report(plan: Plan, budget: Budget, result: Result) -> Path:
    """Writes ``report.md`` and its curves.

    Args:
        plan: The plan.
        budget: Its budget.
        result: What was found.

    Returns:
        The report.
    """
    own, handmade = (next(iter(trials)) for trials in result.trials.values())
    runs = {name: read_scalars(plan.folder / name) for name in ("search", own, handmade)}
    plot_curves(
        {f"{name}: loss": {"loss": run["loss"]} for name, run in runs.items() if "loss" in run},
        plan.folder / "curves.png",
    )
    files = "\n".join(f"* {report}" for report in result.shipped)
    if not result.shipped:
        files = (
            "**Nothing is shipped: the network is not better than what needs no network.** Give it "
            "more --hours, more photographs or a larger budget."
        )
    protocol = f"PSNR and SSIM on Y, {plan.scale} pixels at each border left out"
    if plan.scale == 1:
        protocol = f"PSNR and SSIM on RGB, noise of sigma {plan.made_of['sigma']:g} in 8-bit images"
    front = "![front](front/front.png)\n" if (plan.folder / "front/front.png").is_file() else ""
    text = f"""# A network for these photographs, within {budget}

{_verdict(plan, result)}

{_table(result.rows, budget)}

{protocol}, on {plan.crops["test"]} crops of photographs that neither search nor training saw.

{files}

![side by side](side_by_side.png)

## How it was found
{result.derived}

{_trials(result.trials)}

{front}![genotype](genotype.png)
![curves](curves.png)

## How it was made
```
{plan}
```
The configs are in `configs`; edited, `mmsrnas auto` runs again what they change.
"""
    with atomic_write(plan.folder / "report.md") as path:
        path.write_text(text)
    return plan.folder / "report.md"


def _verdict(plan: Plan, result: Result) -> str:
    rows = {row["model"]: row for row in result.rows}
    own, (name, handmade) = rows[SEARCHED]["psnr"], list(rows.items())[-1]
    return (
        f"It has {own - classical_best(result.rows):+.2f} dB against the best method without a "
        f"network and {own - handmade['psnr']:+.2f} dB against {name} of the same budget, a "
        f"hand-made network that was trained for the same time (the search not counted)."
    )


def _trials(trials: Mapping[str, Mapping[str, float]]) -> str:
    lines = [
        f"* {kind}: {', '.join(f'{name} {psnr:.2f} dB' for name, psnr in found.items())}"
        for kind, found in trials.items()
        if len(found) > 1
    ]
    if not lines:
        return ""
    head = "Short trials on the photographs of the architecture, the best of each was trained:"
    return "\n".join([head, "", *lines])


def _table(rows: Sequence[Row], budget: Budget) -> str:
    head = ["model", "PSNR", "SSIM", "params", budget.cost.unit]
    lines = [head + (["measured ms"] if budget.is_latency else [])]
    lines.append(["---"] + ["---:"] * (len(lines[0]) - 1))
    for row in rows:
        cells = [row["model"], f"{row['psnr']:.2f}", f"{row['ssim']:.4f}"]
        cells += [f"{row['params']:,}" if "params" in row else "-"]
        cells += [budget.amount(row["cost"]) if "cost" in row else "-"]
        if budget.is_latency:
            cells += [f"{row['measured_ms']:.2f}" if "measured_ms" in row else "-"]
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
