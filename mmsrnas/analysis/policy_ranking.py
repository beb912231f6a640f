"""Architectures of a search by reinforcement learning, scored one by one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor, nn

from mmsrnas.engine.runner import Reward
from mmsrnas.genotypes import HNASGenotype
from mmsrnas.models import HNASSupernet
from mmsrnas.models.hnas.supernet import calibrate

__all__ = ["Candidate", "draw_candidates", "pareto_front", "plot_front", "score_candidates"]


@dataclass
class Candidate:
    """An architecture and what is known about it.

    Attributes:
        group: ``'argmax'`` and ``'sample'`` come from the policy, ``'random'`` does not.
        genotype: The architecture.
        psnr: PSNR in dB with the shared weights.
        cost: Multi-Adds, parameters or seconds.
        reward: Reward of the search.
    """

    group: str
    genotype: HNASGenotype
    psnr: float = float("nan")
    cost: float = float("nan")
    reward: float = float("nan")


@torch.no_grad()
def draw_candidates(supernet: HNASSupernet, num_samples: int, seed: int = 0) -> list[Candidate]:
    """The most likely architecture, distinct samples, and as many random ones.

    Args:
        supernet: Supernet with its policy.
        num_samples: Number of samples; fewer where 50 times as many draws repeat themselves, as
            those of a policy without entropy do.
        seed: Seed of the draws.

    Returns:
        First what the policy gives, then the same number of random architectures.
    """
    generator = torch.Generator().manual_seed(seed)
    space, argmax = supernet.space, supernet.genotype()
    found = {argmax: "argmax"}
    for _ in range(50):
        for row in supernet.controller.sample(num_samples, generator).tokens:
            if len(found) <= num_samples:
                found.setdefault(space.decode(row), "sample")
    candidates = [Candidate(group, genotype) for genotype, group in found.items()]
    rows = space.random(len(candidates), generator)
    return candidates + [Candidate("random", space.decode(row)) for row in rows]


@torch.no_grad()
def score_candidates(
    candidates: Sequence[Candidate],
    editor: nn.Module,
    validation: Sequence[dict],
    calibration: Sequence[dict],
    reward: Reward,
) -> float:
    """Scores every candidate on all validation images.

    The statistics of normalisation are those of the candidate on the calibration batches. The
    quality in the reward is in standard deviations of PSNR above the mean of the random candidates.

    Args:
        candidates: Architectures; PSNR, cost and reward are filled in.
        editor: Editor with the supernet as generator.
        validation: Batches of held-out images.
        calibration: Batches of training images.
        reward: Reward of the search.

    Returns:
        PSNR of bicubic interpolation in dB.

    Raises:
        ValueError: No validation image.
    """
    if not validation:
        raise ValueError("val_dataloader: it yields no image, so that nothing can be scored.")
    images = [_load(editor, batch) for batch in validation]
    patches = [editor.data_preprocessor(batch, False)["inputs"] for batch in calibration]
    bicubic = torch.stack([reward.bicubic_psnr(_to_image(editor, lr), hr) for lr, hr in images])
    for candidate in candidates:
        calibrate(editor.generator, candidate.genotype, patches)
        editor.eval()
        scores = [
            reward.psnr(_to_image(editor, editor.generator(lr, candidate.genotype)), hr)
            for lr, hr in images
        ]
        candidate.psnr = torch.stack(scores).mean().item()
        candidate.cost = reward.cost(candidate.genotype)
    psnr = torch.tensor([candidate.psnr for candidate in candidates])
    random = psnr[[candidate.group == "random" for candidate in candidates]]
    genotypes = [candidate.genotype for candidate in candidates]
    rewards = reward(psnr, random.mean(), random.std(), genotypes).tolist()
    for candidate, value in zip(candidates, rewards, strict=True):
        candidate.reward = value
    return bicubic.mean().item()


def _load(editor: nn.Module, batch: dict) -> tuple[Tensor, Tensor]:
    """The normalised LR images of a batch, and its HR images in [0, 255]."""
    data = editor.data_preprocessor(batch, True)
    return data["inputs"], _to_image(editor, data["data_samples"].gt_img)


def _to_image(editor: nn.Module, x: Tensor) -> Tensor:
    """Images in [0, 255] from images in the value range of the network."""
    return editor.data_preprocessor.destruct(x.clone())


def pareto_front(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates than which no other is both better and at most as costly, by cost."""
    front: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda c: (c.cost, -c.psnr)):
        if not front or candidate.psnr > front[-1].psnr:
            front.append(candidate)
    return front


def plot_front(candidates: Sequence[Candidate], metric: str, path: str | Path) -> None:
    """Draws PSNR over cost with the Pareto front.

    Args:
        candidates: Scored architectures.
        metric: What the cost is.
        path: Picture file.
    """
    figure = Figure(figsize=(6.5, 4.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for group, marker in (("random", "x"), ("sample", "o"), ("argmax", "*")):
        points = [(c.cost, c.psnr) for c in candidates if c.group == group]
        axes.scatter(*zip(*points, strict=True), marker=marker, label=group)
    front = pareto_front(candidates)
    axes.step([c.cost for c in front], [c.psnr for c in front], where="post", label="front")
    axes.set(xlabel=metric, ylabel="PSNR with shared weights [dB]", xscale="log")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)
