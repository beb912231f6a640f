"""Architectures of a search by reinforcement learning, scored one by one."""

import csv
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import Tensor, nn

from mmsrnas.files import atomic_write
from mmsrnas.genotypes import Genotype, HNASGenotype
from mmsrnas.genotypes.drawing import draw_genotype
from mmsrnas.models.hnas import HNASCost, HNASSupernet
from mmsrnas.models.hnas.decoding import HNASSpace
from mmsrnas.models.supernet import ArchitectureReward, PolicySupernet

from .front import pareto_front
from .plots import plot_front

__all__ = [
    "Candidate",
    "PolicyRanking",
    "draw_candidates",
    "rank_policy",
    "require_hnas",
    "score_candidates",
]


@dataclass
class Candidate:
    """An architecture and what is known about it.

    Attributes:
        group: ``'argmax'`` and ``'sample'`` come from the policy, ``'random'`` does not.
        genotype: The architecture.
        psnr: PSNR in dB with the shared weights.
        cost: Cost in absolute units.
        reward: Reward of the search.
    """

    group: str
    genotype: Genotype
    psnr: float = float("nan")
    cost: float = float("nan")
    reward: float = float("nan")


@torch.no_grad()
def draw_candidates(supernet: PolicySupernet, num_samples: int, seed: int = 0) -> list[Candidate]:
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
        for row in supernet.policy.sample(num_samples, generator).tokens:
            if len(found) <= num_samples:
                found.setdefault(space.decode(row), "sample")
    candidates = [Candidate(group, genotype) for genotype, group in found.items()]
    rows = space.random(len(candidates), generator)
    return candidates + [Candidate("random", space.decode(row)) for row in rows]


@torch.no_grad()
def score_candidates(
    candidates: Sequence[Candidate],
    editor: Any,
    validation: Sequence[dict],
    calibration: Sequence[dict],
    reward: ArchitectureReward,
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
        FloatingPointError: A candidate has no finite reward.
    """
    if not validation:
        raise ValueError("val_dataloader: it yields no image, so that nothing can be scored.")
    images = [_load(editor, batch) for batch in validation]
    patches = [editor.data_preprocessor(batch, False)["inputs"] for batch in calibration]
    bicubic = torch.stack([reward.bicubic_psnr(_to_image(editor, lr), hr) for lr, hr in images])
    for candidate in candidates:
        editor.generator.calibrate(candidate.genotype, patches)
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
    rewards = reward(psnr, genotypes, random.mean(), random.std()).tolist()
    for candidate, value in zip(candidates, rewards, strict=True):
        candidate.reward = value
    return bicubic.mean().item()


def _load(editor: Any, batch: dict) -> tuple[Tensor, Tensor]:
    """The normalised LR images of a batch, and its HR images in [0, 255]."""
    data = editor.data_preprocessor(batch, True)
    return data["inputs"], _to_image(editor, data["data_samples"].gt_img)


def _to_image(editor: Any, x: Tensor) -> Tensor:
    """Images in [0, 255] from images in the value range of the network."""
    return editor.data_preprocessor.destruct(x.clone())


def rank_policy(
    cfg: Config,
    editor: nn.Module,
    num_samples: int = 50,
    calibration_batches: int = 4,
    seed: int = 0,
) -> "PolicyRanking":
    """Scores the policy of a search beside random search.

    Args:
        cfg: Config of the search, with ``train_cfg.reward`` and both dataloaders.
        editor: Its editor, with the weights of a checkpoint.
        num_samples: Samples of the policy, see :func:`draw_candidates`.
        calibration_batches: Training batches for the statistics of normalisation.
        seed: Seed of samples and batches.

    Returns:
        The scored architectures.

    Raises:
        TypeError: The generator of the editor is no supernet of HNAS.
        ValueError: No validation image.
        FloatingPointError: A candidate has no finite reward.
    """
    supernet: Any = require_hnas(editor)
    reward = supernet.build_reward(**cfg.train_cfg.get("reward", {}))
    candidates = draw_candidates(supernet, num_samples, seed)
    bicubic = score_candidates(
        candidates,
        editor,
        load_batches(cfg.val_dataloader, seed),
        load_batches(cfg.train_dataloader, seed, calibration_batches),
        reward,
    )
    return PolicyRanking(candidates, bicubic, supernet.space, reward.cost)


def require_hnas(editor: nn.Module) -> HNASSupernet:
    """The supernet of an editor.

    Raises:
        TypeError: It is none of HNAS.
    """
    if isinstance(editor.generator, HNASSupernet):
        return editor.generator
    raise TypeError(
        f"model.generator is {type(editor.generator).__name__}, not HNASSupernet; "
        "mmsrnas derive reads the genotype of other searches."
    )


def load_batches(dataloader: dict, seed: int, count: int | None = None) -> list[dict]:
    """The first ``count`` batches of a dataloader config, or all."""
    batches = Runner.build_dataloader(dataloader, seed=seed)
    return list(itertools.islice(batches, count))


@dataclass
class PolicyRanking:
    """Scored architectures of a search.

    Attributes:
        candidates: The architectures, those of the policy and as many random ones.
        bicubic: PSNR of bicubic interpolation in dB.
        space: Search space.
        cost: Cost of the search.
    """

    candidates: list[Candidate]
    bicubic: float
    space: HNASSpace
    cost: HNASCost

    def write(self, out: Path, origin: Mapping[str, Any], top_k: int = 3) -> None:
        """Writes tables, pictures and genotypes.

        * ``architectures.csv``: one row per architecture, best reward first;
        * ``pareto.png``: PSNR over cost;
        * ``top1.json`` ..., ``random1.json`` ...: the best of the policy and the best random ones,
          each with its drawing. They have the width for which the cost was computed, so that the
          file alone describes the network that was rewarded.

        Args:
            out: Folder, made where it does not exist.
            origin: Provenance of the genotypes.
            top_k: Number of genotypes of each.
        """
        out.mkdir(parents=True, exist_ok=True)
        ranked = sorted(self.candidates, key=lambda c: -c.reward)
        self._write_table(ranked, out / "architectures.csv")
        self._plot(out / "pareto.png")
        for name, random in (("top", False), ("random", True)):
            found = [c for c in ranked if (c.group == "random") == random]
            for rank, c in enumerate(found[:top_k], start=1):
                scores = {"reward": c.reward, "psnr": c.psnr, "cost": c.cost, "group": c.group}
                genotype = c.genotype.replace(mid_channels=self.cost.mid_channels)
                genotype.save(out / f"{name}{rank}.json", {**origin, **scores})
                draw_genotype(genotype, out / f"{name}{rank}.png")

    def _write_table(self, ranked: Sequence[Candidate], path: Path) -> None:
        front = pareto_front(ranked)
        rows = []
        for c in ranked:
            genotype = cast(HNASGenotype, c.genotype)
            row = {"group": c.group, "reward": c.reward, "psnr": c.psnr}
            row |= {self.cost.type: c.cost} | self.cost.counts(genotype)
            tokens = " ".join(map(str, self.space.encode(genotype)))
            rows.append(row | {"on_front": c in front, "tokens": tokens})
        with atomic_write(path) as partial, open(partial, "w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)

    def _plot(self, path: Path) -> None:
        groups = {
            group: [(c.cost, c.psnr) for c in self.candidates if c.group == group]
            for group in ("random", "sample", "argmax")
        }
        front = [(c.cost, c.psnr) for c in pareto_front(self.candidates)]
        plot_front({k: v for k, v in groups.items() if v}, front, self.cost.type, path)

    def summary(self) -> str:
        """The policy beside random search with the same number of evaluations, as a table."""
        lines = [
            f"PSNR with shared weights; bicubic interpolation has {self.bicubic:.2f} dB.",
            f"Cost is {self.cost.type} over the mean of random architectures.",
            f"{'':14} evaluations best reward mean reward    PSNR   cost",
        ]
        policy = ("argmax", "sample")
        groups = {"policy": policy, "argmax alone": ("argmax",), "random": ("random",)}
        for name, members in groups.items():
            rows = [c for c in self.candidates if c.group in members]
            best = max(c.reward for c in rows)
            reward, psnr, cost = (
                sum(getattr(c, key) for c in rows) / len(rows) for key in ("reward", "psnr", "cost")
            )
            lines.append(
                f"{name:14} {len(rows):11} {best:11.3f} {reward:11.3f} {psnr:7.2f} "
                f"{cost / self.cost.mean:6.3f}"
            )
        return "\n".join(lines)
