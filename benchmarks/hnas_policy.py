"""Does the policy of HNAS learn?  ``python benchmarks/hnas_policy.py OUT_FOLDER``.

Two problems without images, on the published search space (1.63e21 architectures):

* ``cost``: the reward of the search with lambda = 0.2 and no image quality at all, so that the
  best policy finds cheap architectures;
* ``target``: the reward is the share of the 33 tokens that agree with those of HNAS_A, so that the
  best architecture is known.

The updates are those of the search: the same controller, reward, baseline and optimizer settings
as in configs/_base_/schedules/hnas_search.py.  Writes ``hnas_policy.csv`` and ``hnas_policy.png``
and prints a table.
"""

import argparse
import csv
from collections.abc import Callable
from pathlib import Path

import torch
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIMIZERS

from mmsrnas.engine.runner import PolicyGradient
from mmsrnas.genotypes import load_genotype
from mmsrnas.models import HNASController
from mmsrnas.models.hnas.cost import HNASCost
from mmsrnas.models.hnas.decoding import HNASSpace
from mmsrnas.models.hnas.reward import HNASReward

SCHEDULE = Path(__file__).parents[1] / "configs/_base_/schedules/hnas_search.py"
SPACE = HNASSpace()
COST = HNASCost(SPACE)
COST_REWARD = HNASReward(0.2, COST, psnr_std=torch.tensor(1.0))
TARGET = torch.tensor(SPACE.encode(load_genotype("HNAS_A")))

Rewards = Callable[[torch.Tensor], torch.Tensor]


def cost_rewards(tokens: torch.Tensor) -> torch.Tensor:
    """Rewards of architectures that all have the PSNR of bicubic interpolation."""
    flat = torch.zeros(len(tokens))
    genotypes = [SPACE.decode(row) for row in tokens]
    return COST_REWARD(flat, genotypes, reference=torch.tensor(0.0))


def target_rewards(tokens: torch.Tensor) -> torch.Tensor:
    """Shares of the tokens that agree with the target."""
    return (tokens == TARGET).double().mean(dim=1)


def relative_cost(tokens: torch.Tensor) -> float:
    """Mean Multi-Adds of architectures over those of random ones."""
    return sum(COST(SPACE.decode(row)) for row in tokens) / len(tokens) / COST.mean


def learn(rewards: Rewards, scale: float, seed: int, updates: int) -> tuple[list[dict], float]:
    """Runs the updates of one search.

    Args:
        rewards: Maps tokens to rewards.
        scale: Divides the rewards; their standard deviation over random architectures.
        seed: Seed of policy and samples.
        updates: Number of updates.

    Returns:
        One record per update, and the reward of the most likely architecture at the end.
    """
    torch.manual_seed(seed)
    schedule = Config.fromfile(SCHEDULE)
    loop, policy = schedule.train_cfg, schedule.optim_wrapper.policy
    controller = HNASController(SPACE)
    optimizer = OPTIMIZERS.build(dict(policy.optimizer, params=controller.parameters()))
    wrapper = OptimWrapper(optimizer, clip_grad=policy.get("clip_grad"))
    gradient = PolicyGradient(controller, loop.entropy_weight, loop.baseline_momentum)
    records = []
    for update in range(updates):
        sample = controller.sample(loop.num_samples)
        values = rewards(sample.tokens)
        log = gradient.update(sample, values / scale, wrapper, update / updates)
        records.append(
            {
                "seed": seed,
                "update": update,
                "reward": values.mean().item(),
                "cost": relative_cost(sample.tokens),
                "entropy": log["entropy"].item() / SPACE.max_entropy(),
            }
        )
    with torch.no_grad():
        best = controller.argmax().tokens
    return records, rewards(best).item()


def main() -> None:
    """Learns, prints and draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--updates", type=int, default=750)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    tokens = SPACE.random(10_000, torch.Generator().manual_seed(1))
    records = []
    print("problem  seed  mean cost / random  entropy / maximum  argmax: share of random above")
    for problem, rewards in (("cost", cost_rewards), ("target", target_rewards)):
        random = rewards(tokens)
        for seed in range(args.seeds):
            history, best = learn(rewards, random.std().item(), seed, args.updates)
            records += [{"problem": problem} | record for record in history]
            last = history[-50:]
            cost, entropy = (sum(r[k] for r in last) / len(last) for k in ("cost", "entropy"))
            above = (random >= best).double().mean().item()
            print(f"{problem:8} {seed:4} {cost:19.3f} {entropy:18.3f} {above:31.2%}", flush=True)
    write(records, args.out)


def write(records: list[dict], out: Path) -> None:
    """Writes the records and their curves."""
    with open(out / "hnas_policy.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, records[0].keys())
        writer.writeheader()
        writer.writerows(records)
    panels = (
        ("cost", "cost", "cost only: Multi-Adds / random"),
        ("cost", "entropy", "cost only: entropy / maximum"),
        ("target", "reward", "target: share of right tokens"),
    )
    figure = Figure(figsize=(12, 3.2), dpi=110, layout="constrained")
    for ax, (problem, key, title) in zip(figure.subplots(1, 3), panels, strict=True):
        for seed in sorted({record["seed"] for record in records}):
            values = [r[key] for r in records if r["problem"] == problem and r["seed"] == seed]
            smooth = torch.tensor(values).unfold(0, min(25, len(values)), 1).mean(dim=1)
            ax.plot(smooth, label=f"seed {seed}")
        ax.set(title=title, xlabel="update", ylim=(0, None))
        ax.grid(alpha=0.3)
    ax.legend()
    figure.savefig(out / "hnas_policy.png")


if __name__ == "__main__":
    main()
