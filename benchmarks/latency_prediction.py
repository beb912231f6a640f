"""Predicted against measured latency, on random architectures of all methods and on their peers.

    python benchmarks/latency_prediction.py onnxruntime:cpu:1 torch:cpu:1:channels_last

Needs the optional package spandrel for the peers. The operator table and its calibration come from
networks that are not judged. Rows go to ``results/latency_prediction.csv``; those of another
target stay.
"""

import argparse
import csv
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import nn

from mmsrnas.costs import count_multi_adds, count_params
from mmsrnas.latency import OperatorTable, Target, measure_all, parse_target
from mmsrnas.latency.runtimes import list_operators
from mmsrnas.models import DLSRNet, DLSRSupernet, HiNASNet, HiNASSupernet, HNASNet
from mmsrnas.models.hnas.decoding import HNASSpace
from mmsrnas.registry import MODELS
from mmsrnas.sizes import in_channels_of

RESULTS = Path(__file__).parent / "results/latency_prediction.csv"
COLUMNS = ("network", "target", "params", "multi_adds", "predicted_ms", "measured_ms")
SCALE = 2
WIDTHS = (16, 24, 32)

Builders = dict[str, Callable[[], nn.Module]]


def random_networks(seed: int, counts: dict[str, int]) -> Iterator[tuple[str, Callable]]:
    """Random genotypes of every method at random widths."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    for i in range(counts["dlsr"]):
        supernet = DLSRSupernet(SCALE, mid_channels=8)
        genotype = randomised(supernet).genotype().replace(mid_channels=int(rng.choice(WIDTHS)))
        yield f"dlsr_random_{seed}_{i}", lambda g=genotype: DLSRNet(g)
    space = HNASSpace(num_cells=6)
    for i, row in enumerate(space.random(counts["hnas"])):
        genotype = space.decode(row).replace(mid_channels=int(rng.choice((8, 12, 16))))
        yield f"hnas_random_{seed}_{i}", lambda g=genotype: HNASNet(g)
    for i in range(counts["hinas"]):
        task = dict(task="sr", upscale_factor=SCALE) if i % 2 else dict(task="denoise")
        supernet = HiNASSupernet(**{"upscale_factor": 1, **task}, num_cells=2, mid_channels=8)
        genotype = randomised(supernet).genotype().replace(mid_channels=int(rng.choice((8, 12))))
        yield f"hinas_{task['task']}_random_{seed}_{i}", lambda g=genotype: HiNASNet(g)
    for i in range(counts["pruned"]):
        widths = tuple(int(w) for w in rng.integers(4, 33, 6))
        yield f"edsr_pruned_random_{seed}_{i}", lambda w=widths: pruned_edsr(w)


def randomised(supernet: nn.Module) -> nn.Module:
    """A supernet that has decided at random."""
    for _, param in supernet.arch_parameters():
        nn.init.normal_(param)
    return supernet


def pruned_edsr(widths: tuple[int, ...]) -> nn.Module:
    """EDSR with 32 channels between its blocks and the given widths inside them."""
    net = zoo("EDSRNet", 32, num_blocks=len(widths))
    for block, width in zip(net.body, widths, strict=True):
        block.conv1, block.conv2 = nn.Conv2d(32, width, 3, 1, 1), nn.Conv2d(width, 32, 3, 1, 1)
    return net


def zoo(name: str, width: int, **kwargs: int) -> nn.Module:
    """A generator of mmagic."""
    cfg = dict(type=f"mmagic.{name}", in_channels=3, out_channels=3, upscale_factor=SCALE)
    return MODELS.build(cfg | dict(mid_channels=width) | kwargs)


def peers(widths: tuple[int, ...]) -> Builders:
    """Published networks at several widths."""
    from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact
    from spandrel.architectures.SAFMN import SAFMN
    from spandrel.architectures.SPAN import SPAN

    builders: Builders = {}
    for w in widths:
        builders |= {
            f"edsr_{w}": lambda w=w: zoo("EDSRNet", w, num_blocks=8),
            f"srresnet_{w}": lambda w=w: zoo("MSRResNet", w, num_blocks=8),
            f"rdn_{w}": lambda w=w: zoo("RDNNet", w, num_blocks=3, num_layers=4, channel_growth=w),
            f"compact_{w}": lambda w=w: SRVGGNetCompact(
                num_in_ch=3, num_out_ch=3, num_feat=w, num_conv=16, upscale=SCALE
            ),
            f"span_{w}": lambda w=w: SPAN(
                num_in_ch=3, num_out_ch=3, feature_channels=w, upscale=SCALE
            ),
            f"safmn_{w}": lambda w=w: SAFMN(dim=w + 4, n_blocks=4, upscaling_factor=SCALE),
            f"dlsr_{w}": lambda w=w: DLSRNet("DLSR", SCALE, mid_channels=w),
        }
    return builders


def judged() -> Builders:
    """The networks of the table."""
    counts = dict(dlsr=10, hnas=10, hinas=10, pruned=4)
    return {
        **dict(random_networks(1, counts)),
        **peers(WIDTHS),
        "dlsr_tiny": lambda: DLSRNet("DLSR_TINY", SCALE),
    }


def calibrating() -> Builders:
    """Other networks, for the scales of the table."""
    return {
        **dict(random_networks(0, dict(dlsr=3, hnas=3, hinas=3, pruned=1))),
        **peers((20, 40)),
    }


def run(target: Target, samples: int, max_spread: float) -> list[dict]:
    """Measures the operators and the networks of one target; returns the rows of the table."""
    table = OperatorTable(target)
    others = {name: build() for name, build in calibrating().items()}
    networks = {name: build() for name, build in judged().items()}
    start = time.process_time()
    for network in [*others.values(), *networks.values()]:
        table.measure_missing(network)
    print(f"{target}: {len(table.times)} operators in {time.process_time() - start:.0f} CPU s")
    measured = timed(others, target, samples, max_spread)
    listed = {name: list_operators(network, target) for name, network in others.items()}
    table.calibrate(listed, measured)
    print(f"scales {table.scales}")
    measured = timed(networks, target, samples, max_spread)
    return [
        {
            "network": name,
            "target": str(target),
            "params": count_params(net),
            "multi_adds": count_multi_adds(net, (in_channels_of(net), *target.input_size)),
            "predicted_ms": round(table.predict(net), 3),
            "measured_ms": round(measured[name], 3),
        }
        for name, net in networks.items()
    ]


def timed(networks: dict, target: Target, samples: int, max_spread: float) -> dict[str, float]:
    """Measured milliseconds by name."""
    found = measure_all(networks, target, samples, max_spread)
    return {name: measurement.milliseconds for name, measurement in found.items()}


def report(rows: list[dict]) -> None:
    """Prints how well milliseconds are told by the prediction, and by counts."""
    measured = np.array([row["measured_ms"] for row in rows])
    predicted = np.array([row["predicted_ms"] for row in rows])
    error = np.abs(predicted / measured - 1)
    print(
        f"{rows[0]['target']}: {len(rows)} networks, {measured.min():.1f}-{measured.max():.0f} ms"
    )
    print(f"  relative error: median {np.median(error):.1%}, 90 % {np.quantile(error, 0.9):.1%}")
    for key in ("predicted_ms", "multi_adds", "params"):
        rank = spearmanr([row[key] for row in rows], measured).statistic
        print(f"  Spearman of {key}: {rank:.3f}")


def save(rows: list[dict], path: Path) -> None:
    """Replaces the rows of the targets that were measured."""
    targets = {row["target"] for row in rows}
    if path.is_file():
        with path.open(newline="") as file:
            rows = [r for r in csv.DictReader(file) if r["target"] not in targets] + rows
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Measures each target and writes its rows."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("targets", nargs="+", type=parse_target, help="e.g. onnxruntime:cpu:1")
    parser.add_argument("--samples", type=int, default=7, help="times of each network")
    parser.add_argument("--max-spread", type=float, default=0.1, help="largest spread to trust")
    parser.add_argument("--out", type=Path, default=RESULTS, help="CSV file")
    args = parser.parse_args()
    for target in args.targets:
        rows = run(target, args.samples, args.max_spread)
        report(rows)
        save(rows, args.out)


if __name__ == "__main__":
    main()
