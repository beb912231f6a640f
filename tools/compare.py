"""Compares networks of ours and of mmagic on the same test sets, by the same protocol.

``python tools/compare.py configs/_base_/datasets/sr_test_x2.py --out work_dirs/compare
--model DLSR configs/dlsr/dlsr_x2_div2k.py work_dirs/dlsr_x2_div2k/best.pth --model EDSR ...``
writes ``table.md``, ``table.csv`` and ``tradeoff.png``.  The first row is bicubic interpolation.
"""

import argparse
from pathlib import Path

from mmengine.config import Config, DictAction

from mmsrnas.analysis.compare import (
    Bicubic,
    cost_of,
    evaluate,
    to_markdown,
    write_csv,
)
from mmsrnas.analysis.complexity import read_hr_size, upscale_factor_of
from mmsrnas.analysis.plots import plot_tradeoff
from mmsrnas.apis import init_generator
from mmsrnas.datasets import check_datasets

# The costs of the reference are not measured: it is no network.
BICUBIC = {"model": "bicubic", "params": None, "multi_adds": None, "latency_ms": None}


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Compare networks on the same test sets")
    parser.add_argument("test_config", help="config with test_dataloader and test_evaluator")
    parser.add_argument(
        "--model",
        nargs=3,
        action="append",
        required=True,
        metavar=("NAME", "CONFIG", "CHECKPOINT"),
        help="a network, by a config of ours or of mmagic; repeat it for every network. A run's "
        "own config, work_dirs/RUN/CONFIG.py, holds its --cfg-options, such as the genotype",
    )
    parser.add_argument("--out", type=Path, default=Path("work_dirs/compare"))
    parser.add_argument(
        "--hr",
        type=read_hr_size,
        default="1280x720",
        help="WIDTHxHEIGHT for Multi-Adds and latency",
    )
    parser.add_argument("--repeats", type=int, default=5, help="of the latency; 0 leaves it out")
    parser.add_argument("--threads", type=int, help="of the latency on the CPU")
    parser.add_argument("--device", default="cpu", help="of the latency")
    parser.add_argument("--channels-last", action="store_true", help="for the latency")
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        metavar="KEY=VALUE",
        help="override keys of test_config, e.g. skip_missing_test_sets=True",
    )
    return parser.parse_args()


def main() -> None:
    """Tests every network and writes table and plot."""
    args = parse_args()
    test_cfg = Config.fromfile(args.test_config)
    test_cfg.merge_from_dict(args.cfg_options or {})
    check_datasets(test_cfg, "test")
    latency = dict(
        device=args.device,
        threads=args.threads,
        channels_last=args.channels_last,
        repeats=args.repeats,
    )
    configs = {name: Config.fromfile(config) for name, config, _ in args.model}
    networks = {
        name: init_generator(configs[name], checkpoint) for name, _, checkpoint in args.model
    }
    scales = {name: upscale_factor_of(network) for name, network in networks.items()}
    scale, *others = set(scales.values())
    if others:
        raise SystemExit(f"--model: the networks have different scales: {scales}")

    args.out.mkdir(parents=True, exist_ok=True)
    print("Testing bicubic ...", flush=True)
    rows = [BICUBIC | evaluate(Bicubic(scale), test_cfg, args.out / "logs")]
    for name, network in networks.items():
        print(f"Testing {name} ...", flush=True)
        costs = cost_of(network, args.hr, **latency)
        preprocessor = configs[name].model.data_preprocessor
        scores = evaluate(network, test_cfg, args.out / "logs", preprocessor)
        rows.append({"model": name} | costs | scores)

    table = to_markdown(rows, args.hr)
    (args.out / "table.md").write_text(table)
    write_csv(rows, args.out / "table.csv")
    metric = next(column for column in rows[0] if column.endswith("PSNR"))
    plot_tradeoff(rows, metric, args.out / "tradeoff.png")
    print(f"\n{table}\nTable and plot are in {args.out}")


if __name__ == "__main__":
    main()
