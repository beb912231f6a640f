"""Searches in the spaces of the tables of truth at a budget, in rounds."""

import json
from argparse import ArgumentTypeError, Namespace
from typing import Any, NamedTuple

import numpy as np
import torch

from mmsrnas.analysis.finals import varied
from mmsrnas.analysis.scaling import widest
from mmsrnas.costs import Cost
from mmsrnas.genotypes import DLSR_OPS, Genotype, load_genotype
from mmsrnas.models.dlsr.cost import DLSRCost
from mmsrnas.models.hinas.cost import HiNASCost
from mmsrnas.models.hnas.cost import multi_adds

from .images import Images
from .ranking import STRATEGIES, judge_of
from .spaces import SPACES, Space

__all__ = [
    "DRAWS_SEED",
    "PUBLISHED",
    "ROUNDS",
    "UNIT",
    "Method",
    "Round",
    "choose",
    "round_of",
]

PUBLISHED = {
    "dlsr": "DLSR",
    "hnas": "HNAS_B",
    "hinas_sr": "HINAS_SR",
    "hinas_denoise": "HINAS_DENOISE",
}
"""Genotype by method; of the widths there are none but uniform ones."""
UNIT = "multi_adds"
NEAR = 0.03
USED = 0.88
"""Share of the budget that candidates use at least, as in a selection by a supernet."""
DRAWS_SEED = 77
"""Of the random architectures; the tables of truth are drawn with seed 0."""


class Round(NamedTuple):
    """A judgement of candidates.

    Attributes:
        strategy: How they are judged, see :mod:`truth.ranking`.
        steps: Iterations of each before it is judged: from shared weights, or alone.
        kept: How many are left.
    """

    strategy: str
    steps: int
    kept: int


def round_of(text: str) -> Round:
    """A round that is written ``STRATEGY:STEPS:KEPT`` on a command line."""
    try:
        strategy, steps, kept = text.split(":")
        found = Round(strategy, int(steps), int(kept))
    except ValueError:
        raise ArgumentTypeError(f"expected STRATEGY:STEPS:KEPT, got '{text}'") from None
    if strategy not in STRATEGIES or found.kept < 1 or found.steps < (strategy == "short"):
        raise ArgumentTypeError(
            f"expected one of {', '.join(STRATEGIES)}, at least one network to keep, and the steps "
            f"of a short training, got '{text}'"
        )
    return found


ROUNDS = (Round("paths", 0, 8), Round("short", 300, 1))


class Method:
    """A search space with the budget of the comparison.

    Args:
        name: Name of the space.
        draws: Random architectures whose median cost is the budget.
        width: Channels of the networks; those of the table of truth by default.
    """

    def __init__(self, name: str, draws: int = 200, width: int | None = None) -> None:
        self.name, self.width = name, width
        self.space: Space = SPACES[name]
        self.cost = Cost(UNIT)
        self.template: Any = self.sample(np.random.default_rng(0))
        rng = np.random.default_rng(DRAWS_SEED)
        self.budget = float(np.median([self.cost_of(self.sample(rng)) for _ in range(draws)]))

    def sample(self, rng: np.random.Generator) -> Any:
        """A random architecture."""
        return self.at_width(self.space.sample(rng))

    def at_width(self, genotype: Any) -> Any:
        """A genotype with the channels of this comparison."""
        return genotype.replace(mid_channels=self.width) if self.width else genotype

    def cost_of(self, genotype: Any) -> float:
        """Cost of a genotype of any width, from the parts of its space."""
        if self.name == "hnas":
            return multi_adds(genotype)
        if self.name == "widths":
            return self.cost(self.space.build(genotype))
        any_ops = self.template.replace(mid_channels=genotype.mid_channels)
        if self.name == "dlsr":
            choices = [DLSR_OPS.index(op) for op in genotype.ops]
            return DLSRCost.build(self.cost, any_ops).of(choices)
        return HiNASCost.build(self.cost, any_ops).of(genotype)

    def near_budget(self, count: int, seed: int, least: float = 1 - NEAR) -> list[Genotype]:
        """Different random architectures that cost the budget, or at least a share of it."""
        rng = np.random.default_rng(seed)
        found: dict[Genotype, None] = {}
        while len(found) < count:
            genotype = self.sample(rng)
            if least <= self.cost_of(genotype) / self.budget <= 1 + NEAR:
                found[genotype] = None
        return list(found)

    def published(self) -> Any:
        """The published genotype at the width, scale and depth of the table."""
        fields = ["mid_channels", "upscale_factor", "in_channels"]
        fields += ["global_skip"] if hasattr(self.template, "global_skip") else []
        published: Any = load_genotype(PUBLISHED[self.name])
        changes: dict[str, Any] = {}
        if self.name == "hnas":  # it upsamples behind the same share of its cells
            fields.append("num_cells")
            share = published.upsampling_position / (published.num_cells - 1)
            changes = {"upsampling_position": round(share * (self.template.num_cells - 1))}
        return published.replace(
            **changes, **{field: getattr(self.template, field) for field in fields}
        )

    def uniform(self) -> Any:
        """The published genotype, or all widths alike, brought to the budget by width."""

        def of_width(width: int) -> Any:
            if self.name == "widths":
                return self.template.replace(widths=(width,) * len(self.template.widths))
            return self.published().replace(mid_channels=width)

        width = widest(
            lambda width: self.cost_of(of_width(width)),
            self.budget * (1 + NEAR),
            self.cost.unit,
            step=2,
            min_width=4,
        )
        return of_width(width)


def choose(method: Method, seed: int, args: Namespace, images: Images) -> Genotype:
    """The best of the candidates of a seed."""
    candidates = method.near_budget(args.candidates, seed, USED)
    for strategy, steps, kept in args.rounds:
        options = Namespace(
            space=method.name, seed=seed, iterations=args.iterations, lr=args.lr,
            unit_variance=args.unit_variance, strategy=strategy, finetune_lr=args.finetune_lr,
            data=args.data / "train", device=args.device,
        )  # fmt: skip
        torch.manual_seed(seed)
        judge, _ = judge_of(options, method.space, images)
        scores = dict(zip(candidates, judge(candidates, steps), strict=True))
        candidates = sorted(candidates, key=lambda g: -scores[g])
        print(f"{method.name} {seed}: {strategy} after {steps} iterations", flush=True)
        for genotype in candidates[: max(kept, 12)]:
            print(f"{scores[genotype]:.4f} {json.dumps(genotype.to_dict())}", flush=True)
        candidates = varied(candidates)[:kept]
    return candidates[0]
