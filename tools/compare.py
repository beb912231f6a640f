"""Compares networks of ours and of mmagic on the same test sets, by the same protocol.

``python tools/compare.py configs/_base_/datasets/sr_test_x2.py --out work_dirs/compare
--model DLSR configs/dlsr/dlsr_x2_div2k.py work_dirs/dlsr_x2_div2k/best.pth --model EDSR ...``
writes ``table.md``, ``table.csv`` and ``tradeoff.png``, again after every network.  The first row
is bicubic interpolation, or the noisy images of a denoising set.
"""

import argparse
from pathlib import Path

from mmsrnas.analysis import read_hr_size
from mmsrnas.analysis.compare import compare
from mmsrnas.apis.config import ConfigOptions, read_config
from mmsrnas.datasets import check_datasets
from mmsrnas.latency import parse_target


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
        "own config, work_dirs/RUN/CONFIG.py, holds its --cfg-options",
    )
    parser.add_argument("--out", type=Path, default=Path("work_dirs/compare"))
    parser.add_argument(
        "--resume", action="store_true", help="keep the rows of --out that would be the same"
    )
    parser.add_argument(
        "--hr",
        type=read_hr_size,
        default="1280x720",
        metavar="WxH",
        help="size of the output for Multi-Adds",
    )
    parser.add_argument(
        "--target",
        type=parse_target,
        default="onnxruntime:cpu:1",
        help="where latency is measured, e.g. torch:cpu:1:channels_last:360x640 with the height "
        "and width of the input (default: onnxruntime:cpu:1:180x320)",
    )
    parser.add_argument("--no-latency", action="store_true", help="measure none")
    parser.add_argument(
        "--max-spread", type=float, default=0.1, help="largest spread of latency to trust"
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=ConfigOptions,
        metavar="KEY=VALUE",
        help="override keys of test_config, e.g. skip_missing_test_sets=True",
    )
    return parser.parse_args()


def main() -> None:
    """Tests every network and prints the table."""
    args = parse_args()
    test_cfg = read_config(args.test_config, args.cfg_options)
    check_datasets(test_cfg, "test")
    try:
        result = compare(
            args.model,
            test_cfg,
            args.out,
            args.hr,
            args.resume,
            None if args.no_latency else args.target,
            args.max_spread,
        )
    except ValueError as error:
        raise SystemExit(str(error)) from None
    print(f"\n{result.table}\nTable and plot are in {args.out}")
    if result.failures:
        raise SystemExit(f"These could not be tested: {', '.join(result.failures)}. See above.")


if __name__ == "__main__":
    main()
