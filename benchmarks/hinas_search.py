"""Time and memory of a search step of HiNAS: ``python benchmarks/hinas_search.py``.

Compares the default evaluation of the supernet with the reference one, which computes every term of
the mixed sums on its own as the released code does, on the released configurations. A search step
is one architecture step (gradients of alpha and beta) and one weight step. The reference evaluation
takes the gradients of all parameters in both, as the released code does. Times are CPU seconds of
one thread, the least of several turns that alternate between the variants; memory is what is
allocated in the forward pass and still alive when the backward pass starts.
"""

import argparse
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

import mmsrnas  # noqa: F401  (repairs the stack before mmagic's registries are imported)
from mmsrnas.models import HiNASSupernet

TASKS = {
    "denoise 3 x 4, F=10": (
        dict(task="denoise", upscale_factor=1, num_cells=3, num_nodes=4, mid_channels=10),
        (2, 1, 64, 64),
    ),
    "SR x4 2 x 3, F=8": (
        dict(task="sr", upscale_factor=4, num_cells=2, num_nodes=3, mid_channels=8),
        (2, 3, 48, 48),
    ),
}
VARIANTS = {
    "reference, no cell sharing": dict(reference=True, share_cells=False),
    "reference": dict(reference=True),
    "default, no cell sharing": dict(share_cells=False),
    "default": {},
    "default, with_cp": dict(with_cp=True),
}


def backward(net: nn.Module, x: Tensor, params: Sequence[nn.Parameter]) -> None:
    """Forward and backward pass for the gradients of some of the parameters."""
    net.requires_grad_(False)
    for param in params:
        param.requires_grad_(True)
    net(x).square().mean().backward()
    net.zero_grad(set_to_none=True)


def search_step(net: nn.Module, x: Tensor, reference: bool) -> None:
    """One architecture step and one weight step, without the optimizers."""
    arch = [param for _, param in net.arch_parameters()]
    others = {id(param) for param in arch}
    weights = [param for param in net.parameters() if id(param) not in others]
    for params in (arch, weights):
        backward(net, x, [*arch, *weights] if reference else params)


def kept_memory(net: nn.Module, x: Tensor) -> float:
    """KiB per input pixel that the forward pass leaves for the backward pass."""
    net(x)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        output = net(x)
    inner: Any = profiler.profiler  # its events of memory alone: to make a tree of all takes longer
    kept = sum(e.nbytes() for e in inner.kineto_results.events() if e.name() == "[memory]")
    del output
    return kept / 1024 / (x.size(0) * x.size(2) * x.size(3))


def cpu_seconds(nets: dict[str, nn.Module], x: Tensor, turns: int) -> dict[str, float]:
    """Least CPU time of a search step of each supernet, over turns that alternate."""
    seconds = dict.fromkeys(nets, float("inf"))
    for _ in range(turns):
        for name, net in nets.items():
            start = time.process_time()
            search_step(net, x, "reference" in name)
            seconds[name] = min(seconds[name], time.process_time() - start)
    return seconds


def main() -> None:
    """Prints one table per task."""
    parser = argparse.ArgumentParser(description="Time and memory of a search step of HiNAS")
    parser.add_argument("--turns", type=int, default=4, help="timed search steps per variant")
    turns = parser.parse_args().turns
    torch.set_num_threads(1)
    for task, (kwargs, size) in TASKS.items():
        x = torch.rand(size)
        nets = {
            name: HiNASSupernet(**kwargs, in_channels=size[1], variant="official", **variant)
            for name, variant in VARIANTS.items()
        }
        memory = {name: kept_memory(net, x) for name, net in nets.items()}
        seconds = cpu_seconds(nets, x, turns)
        print(f"\n{task}, batch {' x '.join(map(str, size))}")
        print(f"{'variant':26s} {'KiB/pixel':>10s} {'share':>10s} {'step, s':>9s} {'speed':>6s}")
        for name in nets:
            print(
                f"{name:26s} {memory[name]:10.1f} {memory[name] / memory['reference']:9.2f}x "
                f"{seconds[name]:9.2f} {seconds['reference'] / seconds[name]:5.2f}x"
            )
        for kind in ("reference", "default"):
            ratio = memory[f"{kind}, no cell sharing"] / memory[kind]
            print(f"cell sharing, {kind}: {ratio:.2f}x less memory")


if __name__ == "__main__":
    main()
