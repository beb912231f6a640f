"""One step of the sandwich rule against a step of the largest network alone: CPU time.

A step is forward and backward pass of a batch. Each number is the smallest of the repetitions; the
sandwich is averaged over draws. Run it on an idle machine:

    python benchmarks/elastic_step.py
"""

import argparse
import time
from collections.abc import Callable
from types import SimpleNamespace

import torch
import torch.nn.functional as F

from mmsrnas.models import ElasticNet
from mmsrnas.registry import MODELS


def cpu_seconds(step: Callable[[], torch.Tensor], repeats: int) -> list[float]:
    """CPU seconds of repetitions, after one to warm up."""
    step().backward()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        step().backward()
        times.append(time.process_time() - start)
    return times


def main() -> None:
    """Prints the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num-cells", type=int, default=12, help="blocks of the largest network")
    parser.add_argument("--mid-channels", type=int, default=32, help="its width")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--patch-size", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=10)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    generator = dict(
        type="mmsrnas.ElasticSupernet",
        num_cells=tuple(range(2, args.num_cells + 1, 2)),
        mid_channels=tuple(range(8, args.mid_channels + 1, 8)),
        ops=("conv_3x3", "gate_3x3"),
    )
    cfg = dict(type="mmsrnas.SandwichEditor", generator=generator, pixel_loss=dict(type="L1Loss"))
    editor = MODELS.build(cfg).to(memory_format=torch.channels_last)
    lr = torch.rand(args.batch_size, 3, args.patch_size, args.patch_size)
    lr = lr.contiguous(memory_format=torch.channels_last)
    hr = torch.rand(args.batch_size, 3, 2 * args.patch_size, 2 * args.patch_size)
    samples = SimpleNamespace(gt_img=hr)
    largest = editor.generator.space.largest()

    def sandwich() -> torch.Tensor:
        return torch.stack(list(editor.forward_train(lr, samples).values())).sum()

    def alone(net: torch.nn.Module) -> Callable[[], torch.Tensor]:
        net = net.to(memory_format=torch.channels_last)
        return lambda: F.l1_loss(net(lr), hr)

    plain, branched = (
        min(cpu_seconds(alone(ElasticNet(largest, reparameterized=flag)), args.repeats))
        for flag in (False, True)
    )
    times = cpu_seconds(sandwich, 2 * args.repeats)
    mean = sum(times) / len(times)
    print(f"largest network, plain convolutions:    {plain:.3f} s")
    print(f"largest network, with branches:         {branched:.3f} s")
    print(f"sandwich of four, mean over draws:      {mean:.3f} s")
    print(f"sandwich / largest with branches:       {mean / branched:.2f}")
    print(f"branches / plain:                       {branched / plain:.2f}")


if __name__ == "__main__":
    main()
