"""Exports a trained network: ``python tools/export_onnx.py CONFIG CHECKPOINT OUT.onnx``.

The file takes images of any size.  It is run in onnxruntime against the network before this tool
reports success.
"""

import argparse
from pathlib import Path

from mmengine.config import Config, DictAction

from mmsrnas.apis import init_generator
from mmsrnas.apis.onnx import export_onnx, onnx_difference

SHAPES = [(1, 3, 48, 40), (2, 3, 33, 57), (1, 3, 96, 128)]


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Export a network to ONNX")
    parser.add_argument("config", help="config file")
    parser.add_argument("checkpoint", help="checkpoint file or address")
    parser.add_argument("out", type=Path, help="target file")
    parser.add_argument("--opset", type=int, default=17, help="ONNX operator set")
    parser.add_argument(
        "--tolerance", type=float, default=1e-5, help="largest accepted difference in [0, 1]"
    )
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, metavar="KEY=VALUE")
    return parser.parse_args()


def main() -> None:
    """Exports and checks."""
    args = parse_args()
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    network = init_generator(cfg, args.checkpoint)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    export_onnx(network, args.out, opset_version=args.opset)
    difference = onnx_difference(network, args.out, SHAPES)
    if difference > args.tolerance:
        raise SystemExit(
            f"{args.out} differs from the network by {difference:.1e}, more than --tolerance "
            f"{args.tolerance:.1e}."
        )
    print(f"{args.out}: differs from the network by at most {difference:.1e} on {SHAPES}")


if __name__ == "__main__":
    main()
