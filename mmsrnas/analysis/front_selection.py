"""The front of a trained supernet: quality of sub-networks with shared weights, over cost."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmsrnas.costs import Cost
from mmsrnas.evaluation.metrics import PSNR
from mmsrnas.files import atomic_write
from mmsrnas.genotypes import Genotype
from mmsrnas.genotypes.drawing import draw_genotype
from mmsrnas.models.bn_calibration import estimate_statistics
from mmsrnas.sizes import upscale_factor_of

from .evolution import search_front
from .front import Scored, pareto_front
from .plots import plot_front

__all__ = ["SelectedFront", "held_out_images", "inherited_psnr", "select_front"]

NEAR = 0.75
"""Least ratio of budget and cost of networks that are compared by their quality alone."""
MAX_NEAR = 96


def select_front(
    editor: nn.Module,
    dataloader: Mapping[str, Any],
    cost: Cost,
    evaluations: int = 500,
    crop: int = 96,
    seed: int = 0,
) -> "SelectedFront":
    """Judges sub-networks of a supernet and keeps those that no other beats.

    Args:
        editor: Editor whose generator is a :class:`~mmsrnas.models.supernet.PathSupernet`.
        dataloader: Config of the dataloader of held-out images.
        cost: What is to be low.
        evaluations: Sub-networks that are judged; all where there are less.
        crop: Most height and width, around the middle, that is taken of each LR image.
        seed: Seed of the evolution.

    Returns:
        All that was judged.

    Raises:
        ValueError: There is no held-out image.
        ModuleNotFoundError: The space is large, and pymoo is not installed.
    """
    supernet: Any = editor.generator
    images = held_out_images(editor, dataloader, crop)
    cost_of = supernet.genotype_cost(cost)

    def judge(genotype: Genotype) -> tuple[float, float]:
        return inherited_psnr(supernet.extract(genotype).eval(), images), cost_of(genotype)

    return SelectedFront(search_front(supernet.space, judge, evaluations, seed), cost.unit)


def held_out_images(
    editor: nn.Module, dataloader: Mapping[str, Any], crop: int
) -> list[tuple[Tensor, Tensor]]:
    """The middle of held-out images, for :func:`inherited_psnr`.

    Args:
        editor: Editor that says how images are preprocessed.
        dataloader: Config of the dataloader.
        crop: Most height and width that is taken of each LR image.

    Raises:
        ValueError: There is no image.
    """
    parts: Any = editor
    preprocess, scale = parts.data_preprocessor, upscale_factor_of(parts.generator)
    batches = Runner.build_dataloader(dict(dataloader), seed=0)
    images = [_middle(preprocess(batch, True), crop, scale) for batch in batches]
    if not images:
        raise ValueError("val_dataloader: it yields no image, so that nothing can be judged.")
    return images


def _middle(batch: dict, crop: int, scale: int) -> tuple[Tensor, Tensor]:
    """The middle of the LR images of a batch, and the same of its HR images, in [0, 1]."""
    lr, hr = batch["inputs"], batch["data_samples"].gt_img
    height, width = lr.shape[2:]
    top, left = max(height - crop, 0) // 2, max(width - crop, 0) // 2

    def window(images: Tensor, factor: int) -> Tensor:
        rows = slice(factor * top, factor * (top + min(height, crop)))
        return images[:, :, rows, factor * left : factor * (left + min(width, crop))]

    return window(lr, 1), window(hr, scale)


@torch.no_grad()
def inherited_psnr(network: nn.Module, images: Sequence[tuple[Tensor, Tensor]]) -> float:
    """Mean PSNR in dB of a network, on luma of colour images and rounded to 8 bits.

    Statistics of batch normalisation, which shared weights have of many networks, are estimated
    anew on the LR images.

    Args:
        network: The network, whose running statistics change.
        images: LR and HR images ``(1, C, H, W)`` in [0, 1].
    """
    if any(isinstance(module, _BatchNorm) for module in network.modules()):
        estimate_statistics(network, network, (lr for lr, _ in images))
    values = []
    for lr, hr in images:
        scale = hr.shape[-1] // lr.shape[-1]
        border = scale if scale > 1 else 0
        metric: Any = PSNR(crop_border=border, convert_to="Y" if lr.shape[1] == 3 else None)
        sr = network(lr)
        pairs = zip(hr.mul(255).cpu(), sr.mul(255).cpu(), strict=True)
        values += [float(metric.process_image(truth, image, None)) for truth, image in pairs]
    return sum(values) / len(values)


@dataclass
class SelectedFront:
    """Sub-networks that were judged.

    Attributes:
        judged: All of them.
        unit: What their costs are.
    """

    judged: list[Scored]
    unit: str

    @property
    def front(self) -> list[Scored]:
        """Those that no other beats, by cost."""
        return pareto_front(self.judged)

    def ranked(self, budget: float) -> list[Genotype]:
        """Genotypes in the order in which a budget prefers them.

        First those of about the same cost, the best first, also above the budget, in case that
        costs are corrected; then the front, the dearest first.

        Args:
            budget: The budget, in the unit of the costs.
        """
        near = [s for s in self.judged if NEAR * budget <= s.cost <= budget / NEAR]
        near.sort(key=lambda scored: -scored.psnr)
        ranked = [*near[:MAX_NEAR], *reversed(self.front)]
        return list(dict.fromkeys(scored.genotype for scored in ranked))

    def nearest(self) -> list[Genotype]:
        """All genotypes, those first that lose least against the front at their cost."""

        def regret(scored: Scored) -> float:
            return max(f.psnr for f in self.front if f.cost <= scored.cost) - scored.psnr

        return [scored.genotype for scored in sorted(self.judged, key=regret)]

    def judged_anew(self, psnr: Mapping[Genotype, float]) -> "SelectedFront":
        """Those that another judgement has, with its PSNR.

        Args:
            psnr: PSNR in dB.
        """
        known = [scored for scored in self.judged if scored.genotype in psnr]
        anew = [Scored(s.genotype, psnr[s.genotype], s.cost) for s in known]
        return SelectedFront(anew, self.unit)

    def write(self, out: Path, origin: Mapping[str, Any]) -> None:
        """Writes tables, picture and genotypes.

        * ``judged.csv``: one row per sub-network, the cheapest first;
        * ``front.png``: PSNR over cost;
        * ``00.json`` ...: the genotypes of the front by cost, each with its drawing.

        Args:
            out: Folder, made where it does not exist.
            origin: Provenance of the genotypes.
        """
        out.mkdir(parents=True, exist_ok=True)
        front = self.front
        with atomic_write(out / "judged.csv") as partial, open(partial, "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["cost", "psnr", "on_front", "genotype"])
            for s in sorted(self.judged, key=lambda s: s.cost):
                writer.writerow([s.cost, s.psnr, s in front, s.genotype.to_dict()])
        points = {"judged": [(s.cost, s.psnr) for s in self.judged]}
        plot_front(points, [(s.cost, s.psnr) for s in front], self.unit, out / "front.png")
        for index, scored in enumerate(front):
            scores = {"psnr": scored.psnr, "cost": scored.cost, "unit": self.unit}
            scored.genotype.save(out / f"{index:02}.json", {**origin, **scores})
            draw_genotype(scored.genotype, out / f"{index:02}.png")

    def summary(self) -> str:
        """The front as a table."""
        lines = [f"{len(self.judged)} sub-networks judged; the front:"]
        rows = (f"{s.cost:12,.4g} {self.unit}  {s.psnr:6.2f} dB" for s in self.front)
        return "\n".join([*lines, *(f"{i:02} {row}" for i, row in enumerate(rows))])
