"""One mixed-level search step of DLSR against its reference evaluation: CPU time and memory.

A step is one weight step on a batch and one architecture step on two batches. The reference
evaluation runs all nine candidates one by one, in the default memory format, and computes weight
gradients in both steps. Run it on an idle machine:

    python benchmarks/dlsr_search_step.py
"""

import argparse
import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmsrnas.models import DLSRSupernet, HFENLoss
from mmsrnas.models.dlsr.ops import MixedOp


def reference_mixed_op(mixed: MixedOp, x: Tensor, weights: Tensor) -> Tensor:
    """The definition: every candidate on its own, then the weighted sum."""
    return sum(w * op(x) for w, op in zip(weights, mixed.ops, strict=True))


@contextmanager
def reference_evaluation(net: DLSRSupernet) -> Iterator[None]:
    """Evaluates the supernet by the definition, in the default memory format."""
    algebraic = MixedOp.forward
    MixedOp.forward = reference_mixed_op
    first = net.conv_first.register_forward_pre_hook(lambda _, args: (args[0].contiguous(),))
    dilated = [m for m in net.modules() if getattr(m, "dilation", (1, 1)) != (1, 1)]
    for module in dilated:
        module.forward = lambda x, module=module: nn.Conv2d.forward(module, x)
    try:
        yield
    finally:
        MixedOp.forward = algebraic
        first.remove()
        for module in dilated:
            del module.forward


class SearchStep:
    """One weight step and one architecture step, without the optimizers."""

    def __init__(self, net: DLSRSupernet, batch_size: int, dtype: torch.dtype) -> None:
        self.net, self.hfen = net.to(dtype), HFENLoss().to(dtype)
        self.arch = {id(parameter) for _, parameter in net.arch_parameters()}
        shape = (3, batch_size, 3)
        self.lr = torch.rand(*shape, 32, 32, dtype=dtype)
        self.hr = torch.rand(*shape, 64, 64, dtype=dtype)

    def loss(self, index: int) -> Tensor:
        """L1 + 0.2 HFEN of batch ``index``."""
        sr = self.net(self.lr[index])
        return F.l1_loss(sr, self.hr[index]) + self.hfen(sr, self.hr[index])

    def train(self, *, weights: bool, arch: bool) -> None:
        """Decides which gradients the next step computes."""
        for parameter in self.net.parameters():
            parameter.requires_grad_(arch if id(parameter) in self.arch else weights)
            parameter.grad = None

    def weight_step(self, reference: bool) -> None:
        """Gradients of the weights on one batch."""
        self.train(weights=True, arch=reference)
        self.loss(0).backward()

    def arch_step(self, reference: bool) -> None:
        """Gradients of alpha and beta on two batches, one after the other."""
        self.train(weights=reference, arch=True)
        for index in (0, 1):
            self.loss(index).backward()

    def cpu_seconds(self, reference: bool) -> list[float]:
        """CPU time of the two steps."""
        marks = [time.process_time()]
        for step in (self.weight_step, self.arch_step):
            step(reference)
            marks.append(time.process_time())
        return [end - begin for begin, end in itertools.pairwise(marks)]

    def saved_bytes(self, reference: bool) -> list[int]:
        """Bytes that one forward pass keeps for the backward pass, for each of the two steps."""
        parameters = {p.untyped_storage().data_ptr() for p in self.net.parameters()}
        result = []
        for weights, arch in ((True, reference), (reference, True)):
            self.train(weights=weights, arch=arch)
            storages: dict[int, int] = {}

            def pack(tensor: Tensor, storages: dict[int, int] = storages) -> Tensor:
                storage = tensor.untyped_storage()
                if storage.data_ptr() not in parameters:
                    storages[storage.data_ptr()] = storage.nbytes()
                return tensor

            with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
                loss = self.loss(0)
            result.append(sum(storages.values()))
            del loss
        return result


def check_equality(channels: int) -> tuple[float, float]:
    """Largest relative difference of outputs and alpha gradients between both ways, in float64."""
    step = SearchStep(DLSRSupernet(mid_channels=channels), 1, torch.double)
    outputs, gradients = [], []
    for reference in (True, False):
        with reference_evaluation(step.net) if reference else nullcontext():
            outputs.append(step.net(step.lr[0]).detach())
            step.arch_step(reference)
            gradients.append(step.net.alpha.grad.clone())
    return tuple(float((a - b).abs().max() / a.abs().max()) for a, b in (outputs, gradients))


def main() -> None:
    """Prints the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--channels", type=int, default=48)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    difference = check_equality(args.channels)
    print(
        "float64, largest difference relative to the largest value: "
        f"outputs {difference[0]:.1e}, alpha gradients {difference[1]:.1e}"
    )

    step = SearchStep(DLSRSupernet(mid_channels=args.channels), args.batch_size, torch.float)
    seconds: dict[bool, list[list[float]]] = {True: [], False: []}
    saved = {}
    for _ in range(args.repeats + 1):
        for reference in (True, False):
            with reference_evaluation(step.net) if reference else nullcontext():
                seconds[reference].append(step.cpu_seconds(reference))
                saved[reference] = saved.get(reference) or step.saved_bytes(reference)
    best = {
        key: [min(column) for column in zip(*rows[1:], strict=True)]
        for key, rows in seconds.items()
    }
    for name, row, unit, scale in (
        ("CPU time, weight step", 0, "s", 1),
        ("CPU time, architecture step", 1, "s", 1),
    ):
        print_row(name, best[True][row] / scale, best[False][row] / scale, unit)
    print_row("CPU time, whole step", sum(best[True]), sum(best[False]), "s")
    for name, row in (("saved for backward, weights", 0), ("saved for backward, alpha", 1)):
        print_row(name, saved[True][row] / 2**20, saved[False][row] / 2**20, "MiB")
    print_bound(args.channels, args.batch_size, sum(best[False]))


def print_row(name: str, reference: float, ours: float, unit: str) -> None:
    """Prints one comparison."""
    print(
        f"{name:28} reference {reference:8.2f} {unit:3}  ours {ours:8.2f} {unit:3}  "
        f"ours/reference {ours / reference:.2f}  reference/ours {reference / ours:.2f}"
    )


def print_bound(channels: int, batch_size: int, seconds: float) -> None:
    """Counts the multiply-accumulates of the merged dense kernels, and times nothing else."""
    x = torch.rand(batch_size, channels, 32, 32).contiguous(memory_format=torch.channels_last)
    kernel = torch.rand(channels, channels, 7, 7)
    times = []
    for _ in range(20):
        begin = time.process_time()
        F.conv2d(x, kernel, padding=3)
        times.append(time.process_time() - begin)
    macs = batch_size * 32 * 32 * channels**2 * 49
    rate = macs / min(times)
    # 7x7: forward thrice, input gradient thrice, weight gradient once; in the architecture step
    # its place take the kernels 1, 3 and 5 twice (35 of 49 taps). 18 mixed operations.
    dense = 18 * macs * (3 + 3 + 1 + 2 * 35 / 49)
    print(
        f"dense candidates: {dense / 1e9:.1f} GMAC a step; at the measured {rate / 1e9:.0f} GMAC/s "
        f"of the 7x7 convolution {dense / rate:.2f} s, {dense / rate / seconds:.0%} of our step"
    )


if __name__ == "__main__":
    main()
