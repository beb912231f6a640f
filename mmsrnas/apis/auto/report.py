"""What came out, on a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmsrnas.analysis.plots import plot_curves, read_scalars
from mmsrnas.analysis.tables import Row, to_markdown
from mmsrnas.apis.export import ExportReport
from mmsrnas.files import atomic_write
from mmsrnas.sizes import HR_SIZE

from .budget import Budget
from .comparison import classical_best, psnr_of
from .planning import Plan

__all__ = ["CONTROL", "SEARCHED", "Result", "write_report"]

SEARCHED, CONTROL = "searched", "random"
"""Names of the network that was found, and of a random one of the space that costs as much."""


@dataclass(frozen=True)
class Result:
    """What the stages of a plan have found.

    Attributes:
        derived: What was derived, in a sentence.
        trials: PSNR in dB of the trials by training, for each kind of network.
        trainings: Names of what was trained to the end, of the configs.
        rows: The table.
        shipped: The exported files.
    """

    derived: str
    trials: Mapping[str, Mapping[str, float]]
    trainings: Sequence[str]
    rows: Sequence[Row]
    shipped: Sequence[ExportReport]


def write_report(plan: Plan, budget: Budget, result: Result) -> Path:
    """Writes ``report.md`` and its curves.

    Args:
        plan: The plan.
        budget: Its budget.
        result: What was found.

    Returns:
        The report.
    """
    runs = {name: read_scalars(plan.folder / name) for name in result.trainings}
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

{to_markdown(result.rows, HR_SIZE)}

{protocol}, on {plan.crops["test"]} crops of photographs that neither search nor training saw.

{files}

![crops, and below them how far they are from the truth](test/crops.png)
![quality over cost](test/tradeoff.png)

## How it was found
{result.derived}

{_trials(result.trials)}

{front}![genotype](genotype.png)
![curves](curves.png)

## How it was made
```
{plan}
```
The configs are in `configs`; edited, `mmsrnas auto` runs again what they change. Whole test images
are in `test/images`, all numbers in `test/table.csv`.
"""
    with atomic_write(plan.folder / "report.md") as path:
        path.write_text(text)
    return plan.folder / "report.md"


def _verdict(plan: Plan, result: Result) -> str:
    psnr = {row["model"]: psnr_of(row) for row in result.rows}
    own = psnr[SEARCHED]
    handmade = {plan.label(n): psnr[plan.label(n)] for n in plan.handmade if n in result.trainings}
    best = max(handmade, key=lambda name: handmade[name])
    parts = [
        f"It has {own - classical_best(result.rows):+.2f} dB against the best method without a "
        f"network and {own - handmade[best]:+.2f} dB against {best} of the same budget, "
        f"{'the best' if len(handmade) > 1 else 'a'} hand-made network that was trained for the "
        "same time (the search not counted)."
    ]
    if CONTROL in psnr:
        parts.append(
            f"A random network of the space at this cost, with the same training, is "
            f"{psnr[CONTROL] - own:+.2f} dB away: one seed each."
        )
    return " ".join(parts)


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
