"""Compares anything that restores images: ``mmsrnas compare IMAGES MODEL [MODEL ...]``.

A MODEL is a checkpoint or work dir of ours, an ONNX or OpenVINO file, weights that spandrel knows,
CONFIG,CHECKPOINT of mmagic, bicubic, lanczos, or a CSV file of published numbers. NAME=MODEL names
it. Written are table.md, table.csv, tradeoff.png, crops.png and a few images, again after each.
"""

import argparse
from pathlib import Path

from mmsrnas.analysis import read_hr_size
from mmsrnas.analysis.compare import compare
from mmsrnas.analysis.contenders import load_contenders
from mmsrnas.analysis.tables import read_published
from mmsrnas.analysis.test_sets import folder_as_test_set
from mmsrnas.apis.config import ConfigOptions, read_config
from mmsrnas.command import failing_cleanly
from mmsrnas.datasets import check_datasets
from mmsrnas.latency import parse_target


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("images", metavar="IMAGES", help="folder of images, or a config")
    parser.add_argument("models", metavar="MODEL", nargs="+", help="see above")
    parser.add_argument("--out", type=Path, default=Path("work_dirs/compare"))
    parser.add_argument("--scale", type=int, help="where no MODEL says it")
    parser.add_argument("--lr", help="folder of LR images; else IMAGES are made small")
    parser.add_argument("--sigma", type=float, default=25.0, help="noise in 0..255, for denoisers")
    parser.add_argument("--target", default="onnxruntime:cpu:1", help="of latency and memory")
    parser.add_argument("--no-latency", action="store_true", help="measure neither")
    parser.add_argument("--max-spread", type=float, default=0.1, help="of a latency to be trusted")
    parser.add_argument(
        "--hr", type=read_hr_size, default="1280x720", metavar="WxH", help="output for Multi-Adds"
    )
    parser.add_argument("--resume", action="store_true", help="keep rows that would be the same")
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=ConfigOptions,
        metavar="KEY=VALUE",
        help="override keys of a config, e.g. skip_missing_test_sets=True",
    )
    return parser.parse_args()


def main() -> None:
    """Tests every contender and prints the table."""
    args = parse_args()
    with failing_cleanly():
        target = None if args.no_latency else parse_target(args.target)
        tables = [text for text in args.models if text.endswith(".csv")]
        contenders = load_contenders(
            [m for m in args.models if m not in tables], args.scale, args.sigma
        )
        scale = contenders[0].upscale_factor
        published = [row for table in tables for row in read_published(table, scale)]
        if args.images.endswith(".py"):
            test_cfg = read_config(args.images, args.cfg_options)
            check_datasets(test_cfg, "test")
        else:
            channels = contenders[-1].in_channels or 3
            data = args.out / "data"
            test_cfg = folder_as_test_set(args.images, data, scale, args.lr, args.sigma, channels)
        result = compare(
            contenders,
            test_cfg,
            args.out,
            args.hr,
            args.resume,
            target,
            args.max_spread,
            published,
        )
    print(f"\n{result.table}\nTables and pictures are in {args.out}")
    if result.failures:
        raise SystemExit(f"These could not be tested: {', '.join(result.failures)}. See above.")


if __name__ == "__main__":
    main()
