"""DRC: search forward, search step and channel selection against their reference evaluation.

The reference search builds the weights of the channels in a double loop over candidates and
channels, and its step takes five passes: the virtual step of the weights, the architecture gradient
there, two for the second order, and the step of the weights. Ours takes two, the architecture
gradient alone and the step of the weights. The reference selection computes the whole network in
every pass. CPU time of one thread; run it on an idle machine:

    python benchmarks/drc_search.py
"""

import argparse
import time
from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from torch import Tensor, nn

from mmsrnas.engine.virtual_step import virtual_step_gradients
from mmsrnas.models import DRNNet, DualNet, DualRegressionLoss
from mmsrnas.pruning import ChannelNumberSearch, ChannelSelector
from mmsrnas.pruning.supernet import official_candidates

SHARE = 0.7


def reference_channel_weights(net: ChannelNumberSearch) -> list[Tensor]:
    """Six candidates with repetitions, one channel at a time, as the released code does."""
    position = dict.fromkeys(net.groups, 0)
    result = []
    for site in net.sites:
        key = str(site.width)
        merged = net.alpha[key][position[key]].softmax(0)
        position[key] += 1
        options = official_candidates(site.width, SHARE)
        probabilities = [merged[net.candidates[key].index(n)] / options.count(n) for n in options]
        kernel = net.generator.get_submodule(site.consumer).weight
        order = kernel.detach().abs().sum(dim=(0, 2, 3)).argsort(descending=True).tolist()
        weights = kernel.new_zeros(site.width)
        for number, probability in zip(options, probabilities, strict=True):
            for channel in order[:number]:
                weights[channel] += probability
        result.append(weights)
    return result


class Search:
    """A search on random images, by the definition or as it is."""

    def __init__(self, blocks: int, channels: int, patch: int, batch: int, dtype: Any) -> None:
        torch.manual_seed(0)
        generator = dict(
            type="mmsrnas.DRNNet", upscale_factor=4, num_blocks=blocks, mid_channels=channels
        )
        self.net = ChannelNumberSearch(generator, budget_share=SHARE, variant="official").to(dtype)
        self.duals = nn.ModuleList(DualNet(2, channels) for _ in range(2)).to(dtype)
        self.loss_dual = DualRegressionLoss(0.1)
        self.images = [
            [torch.rand(batch, 3, patch // f, patch // f, dtype=dtype) for f in (4, 2, 1)]
            for _ in range(2)
        ]
        self.arch = [param for _, param in self.net.arch_parameters()]
        self.weights = [p for p in self.net.generator.parameters() if p.requires_grad]

    def be_reference(self, reference: bool) -> None:
        """Chooses how the weights of the channels are computed."""
        function = reference_channel_weights if reference else ChannelNumberSearch.channel_weights
        self.net.channel_weights = MethodType(function, self.net)

    def loss(self, batch: int) -> Tensor:
        """The whole pyramid on the training (0) or the architecture batch (1)."""
        targets = self.images[batch]
        outputs = self.net(targets[0], pyramid=True)
        primal = sum(F.l1_loss(o, t) for o, t in zip(outputs, targets, strict=True))
        return primal + self.loss_dual(self.duals, outputs[1:], targets[:-1])

    def train(self, weights: bool, arch: bool) -> None:
        """Decides which gradients are computed."""
        for params, value in ((self.weights, weights), (self.arch, arch)):
            for param in params:
                param.requires_grad_(value)
        self.duals.requires_grad_(weights)

    def forward(self) -> None:
        """A forward pass that a backward pass could follow."""
        self.train(True, True)
        self.loss(0)

    def arch_gradients(self) -> list[Tensor]:
        """First-order gradients of the architecture."""
        self.train(False, True)
        return list(torch.autograd.grad(self.loss(1), self.arch))

    def step(self, reference: bool) -> None:
        """Gradients of the architecture, then of the weights."""
        if reference:
            self.train(True, True)
            count = len(self.weights)
            rates, decays = [1e-4] * count, [3e-4] * count
            virtual_step_gradients(
                lambda: self.loss(0), lambda: self.loss(1), self.arch, self.weights, rates, decays
            )
        else:
            self.arch_gradients()
            self.train(True, False)
        weights = [*self.weights, *self.duals.parameters()]
        torch.autograd.grad(self.loss(0), weights)


def selection(cache: bool, blocks: int, channels: int, patch: int, batch: int) -> list[Tensor]:
    """Selects a few channels at every site on two random batches."""
    torch.manual_seed(0)
    net = DRNNet(4, blocks, channels)
    duals = nn.ModuleList(DualNet(2, channels) for _ in range(2)).requires_grad_(False)
    loss_dual = DualRegressionLoss(0.1)
    batches = []
    for _ in range(2):
        targets = [torch.rand(batch, 3, patch // f, patch // f) for f in (4, 2, 1)]
        batches.append({"inputs": targets[0], "targets": targets})

    def objective(batch: dict) -> Tensor:
        outputs = net(batch["inputs"], pyramid=True)
        primal = sum(F.l1_loss(o, t) for o, t in zip(outputs, batch["targets"], strict=True))
        return 255 * (primal + loss_dual(duals, outputs[1:], batch["targets"][:-1]))

    genotype = net.genotype.replace(widths=(8,) * len(net.genotype.widths))
    return ChannelSelector(net, genotype, batches, objective, cache=cache).run()


def seconds(function: Callable[[], Any], repeats: int) -> float:
    """Least CPU time of some runs."""
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        function()
        times.append(time.process_time() - begin)
    return min(times)


def main() -> None:
    """Prints the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--blocks", type=int, default=30)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--patch", type=int, default=96, help="HR size")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    MMLogger.get_current_instance().setLevel("WARNING")

    exact = Search(args.blocks, args.channels, 32, 1, torch.double)
    gradients = {}
    for reference in (True, False):
        exact.be_reference(reference)
        gradients[reference] = exact.arch_gradients()
    pairs = zip(gradients[True], gradients[False], strict=True)
    difference = max(float((a - b).abs().max()) for a, b in pairs)
    largest = max(float(g.abs().max()) for g in gradients[True])
    print(f"float64: alpha gradients up to {largest:.1e} differ by at most {difference:.1e}")

    size = (args.blocks, args.channels, args.patch, args.batch_size)
    search = Search(*size, torch.float)
    rows: dict[str, list[float]] = {"search forward": [], "search step": []}
    for reference in (True, False):
        search.be_reference(reference)
        search.step(reference)  # warm-up
        rows["search forward"].append(seconds(search.forward, args.repeats))
        step = lambda reference=reference: search.step(reference)  # noqa: E731
        rows["search step"].append(seconds(step, args.repeats))
    small = (4, args.channels, 64, 1)
    chosen = {}

    def select(cache: bool) -> None:
        chosen[cache] = selection(cache, *small)

    rows["selection, 4 blocks"] = [
        seconds(lambda cache=cache: select(cache), 1) for cache in (False, True)
    ]
    same = all(torch.equal(a, b) for a, b in zip(chosen[True], chosen[False], strict=True))
    for name, (reference, ours) in rows.items():
        print(
            f"{name:20} reference {reference:7.3f} s  ours {ours:7.3f} s  "
            f"reference/ours {reference / ours:.2f}"
        )
    print(f"selected channels are {'the same' if same else 'NOT the same'}")


if __name__ == "__main__":
    main()
