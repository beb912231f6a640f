"""Time of the two steps of an HNAS search: ``python benchmarks/hnas_search.py``.

Compares, in one run on one thread and on the same random architectures of the published space
(12 layers, 8 channels, x2, 16 patches of 48x48),

* the step of the released code as a reference: one sampled architecture, features in NCHW, the
  upsampling cell evaluated twice; the policy step samples inside the forward pass, so that autograd
  records the supernet as well, and runs the supernet once more on 1x3x48x48 to count
  multiply-accumulates;
* ours, with as many samples per policy step as there are architectures; and the same on a quarter
  of the patches, as the configs have it.

Both compute the same images, which is checked first.  Prints a table with ratios, and where the
time of our policy step goes.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmsrnas.engine.runner import PolicyGradient
from mmsrnas.engine.runner.policy_gradient import reinforce_loss
from mmsrnas.genotypes import HNAS_NORMAL_OPS, HNASGenotype
from mmsrnas.models import HNASSupernet
from mmsrnas.models.hnas.cost import HNASCost
from mmsrnas.models.hnas.normalization import batch_statistics
from mmsrnas.models.hnas.reward import HNASReward, batch_psnr
from mmsrnas.models.ops import Depthwise

PUBLISHED = dict(normal_ops=HNAS_NORMAL_OPS, variant="paper")
"""The space of the released code, with all operations on all edges."""


class ReferenceSupernet(HNASSupernet):
    """The same weights, evaluated as the released code does."""

    def __init__(self) -> None:
        super().__init__(**PUBLISHED)
        for module in self.modules():
            if isinstance(module, Depthwise):  # without our way around slow dilated ones
                module.forward = partial(nn.Conv2d.forward, module)

    def run_cells(self, x: Tensor, cells: Sequence) -> Tensor:
        """Evaluates every upsampling cell twice."""
        output = self.stem(x * self.img_range - self.mean)
        previous = before_previous = output
        for cell, upsamples in cells:
            output = cell(F.relu(previous), F.relu(before_previous))
            if upsamples:
                output = cell(F.relu(previous), F.relu(before_previous))
            previous, before_previous = output, output if upsamples else previous
        return (self.conv_last(output) + self.mean) / self.img_range


def counted_multi_adds(net: HNASSupernet, genotype: HNASGenotype) -> int:
    """Multiply-accumulates as the released code finds them: by hooks in one more forward pass."""
    total = 0

    def count(module: nn.Module, inputs: tuple, output: Tensor) -> None:
        nonlocal total
        total += module.weight.numel() * output.shape[2] * output.shape[3]

    convs = [module for module in net.modules() if isinstance(module, nn.Conv2d)]
    handles = [module.register_forward_hook(count) for module in convs]
    net(torch.zeros(1, 3, 48, 48), genotype)
    for handle in handles:
        handle.remove()
    return total


class Steps:
    """The steps that are compared, on one batch and given architectures."""

    def __init__(self, batch: int, size: int) -> None:
        torch.manual_seed(0)
        self.net, self.reference = HNASSupernet(**PUBLISHED), ReferenceSupernet()
        self.reference.load_state_dict(self.net.state_dict())
        self.lr = torch.rand(batch, 3, size, size)
        self.hr = torch.rand(batch, 3, 2 * size, 2 * size)
        self.optimizers = {
            net: (
                torch.optim.Adam([p for n, p in net.named_parameters() if "policy" not in n]),
                OptimWrapper(torch.optim.Adam(net.policy.parameters())),
            )
            for net in (self.net, self.reference)
        }
        self.reward = HNASReward(0.6, HNASCost(self.net.space, mid_channels=64), torch.tensor(1.0))
        self.gradient = PolicyGradient(self.net.policy)

    def train(self, net: HNASSupernet, genotype: HNASGenotype) -> None:
        """One step on the weights."""
        optimizer = self.optimizers[net][0]
        F.l1_loss(net(self.lr, genotype), self.hr).backward()
        optimizer.step()
        optimizer.zero_grad()

    def reference_policy(self, genotype: HNASGenotype) -> None:
        """One step on the policy that scores one architecture, with its graph."""
        net = self.reference
        net.train()
        sample = net.policy.evaluate(torch.tensor([net.space.encode(genotype)]))
        sr = net(self.lr, genotype)
        cost = 5e-9 * counted_multi_adds(net, genotype)
        psnr = batch_psnr(sr.detach() * 255, self.hr * 255, 8)
        rewards = (0.6 * psnr - 0.4 * cost).view(1)
        loss = reinforce_loss(sample, rewards, 1.0, (1, 1, 10))
        self.optimizers[net][1].update_params(loss)

    def policy(self, genotypes: Sequence[HNASGenotype], images: int) -> None:
        """One step on the policy that scores all architectures on the first images."""
        net = self.net
        tokens = [net.space.encode(genotype) for genotype in genotypes]
        sample = net.policy.evaluate(torch.tensor(tokens))
        lr, target = self.lr[:images], self.hr[:images] * 255
        with torch.no_grad(), batch_statistics():
            scores = [self.reward.psnr(net(lr, g) * 255, target) for g in genotypes]
        self.reward.bicubic_psnr(lr * 255, target)  # for the log
        psnr = torch.stack(scores)
        rewards = self.reward(psnr, genotypes)
        self.gradient.update(sample, rewards, self.optimizers[net][1], 0.5)


def seconds(function: Callable[[], None], repeats: int) -> float:
    """CPU time of the fastest of several runs, after one that does not count."""
    times = []
    for _ in range(repeats + 1):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times[1:])


def breakdown(steps: Steps, genotypes: Sequence[HNASGenotype]) -> dict[str, float]:
    """Shares of the layers in the time that our policy step takes."""
    kinds = {
        nn.Conv2d: "convolutions",
        nn.ConvTranspose2d: "convolutions",
        nn.BatchNorm2d: "normalisation",
    }
    times: dict[str, float] = defaultdict(float)

    def timed(forward: Callable[[Tensor], Tensor], kind: str) -> Callable[[Tensor], Tensor]:
        def run(x: Tensor) -> Tensor:
            start = time.process_time()
            output = forward(x)
            times[kind] += time.process_time() - start
            return output

        return run

    for module in steps.net.modules():
        for layer, kind in kinds.items():
            if isinstance(module, layer):
                module.forward = timed(module.forward, kind)
    start = time.process_time()
    steps.policy(genotypes, len(steps.lr))
    total = time.process_time() - start
    times["sums, ReLU, resampling, policy"] = total - sum(times.values())
    return {kind: value / total for kind, value in times.items()}


def main() -> None:
    """Checks equality, measures, and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architectures", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=48, help="LR patch")
    args = parser.parse_args()
    torch.set_num_threads(1)
    steps = Steps(args.batch, args.size)
    space = steps.net.space
    rows = space.random(args.architectures, torch.Generator().manual_seed(0))
    genotypes = [space.decode(row) for row in rows]
    with torch.no_grad(), batch_statistics():
        difference = max(
            (steps.net(steps.lr, g) - steps.reference(steps.lr, g)).abs().max().item()
            for g in genotypes
        )
    assert difference < 1e-3, difference
    print(f"{args.architectures} architectures, images equal to {difference:.1e}")

    def each(function: Callable[[HNASGenotype], None]) -> float:
        return sum(seconds(lambda g=g: function(g), args.repeats) for g in genotypes)

    count = len(genotypes)
    reference = each(steps.reference_policy) / count
    images = {n: f"policy, {n} patches per score" for n in (args.batch, args.batch // 4)}
    ours = {
        n: seconds(lambda n=n: steps.policy(genotypes, n), args.repeats) / count for n in images
    }
    train_reference = each(lambda g: steps.train(steps.reference, g)) / count
    train_ours = each(lambda g: steps.train(steps.net, g)) / count
    print(f"{'CPU seconds per architecture':30} reference   ours   ratio")
    rows = [(name, reference, ours[n]) for n, name in images.items()]
    rows.append(("training of the supernet", train_reference, train_ours))
    for name, before, after in rows:
        print(f"{name:30} {before:9.3f} {after:7.3f} {before / after:6.2f}x")
    print("time of our policy step:")
    for kind, share in sorted(breakdown(steps, genotypes).items(), key=lambda item: -item[1]):
        print(f"  {kind:30} {share:6.1%}")


if __name__ == "__main__":
    main()
