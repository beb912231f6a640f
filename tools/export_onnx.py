"""Exports a trained network: ``python tools/export_onnx.py CONFIG CHECKPOINT OUT.onnx``.

The file takes images of any size that the network takes.  It is written only where it does what the
network does, which onnxruntime finds out on several sizes.
"""

import argparse
from pathlib import Path

from mmsrnas.apis.config import ConfigOptions, read_config
from mmsrnas.apis.generator import GENOTYPE_OPTION, init_generator
from mmsrnas.apis.onnx import OnnxError, export_checked_onnx
from mmsrnas.checkpoint import CheckpointError


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Export a network to ONNX")
    parser.add_argument("config", help="config file, or the checkpoint, which holds its own")
    parser.add_argument("checkpoint", help="checkpoint, its address, or the work dir of a run")
    parser.add_argument("out", type=Path, help="target file")
    parser.add_argument("--opset", type=int, default=17, help="ONNX operator set")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=1e-5,
        help="error in [0, 1] that the file may have beyond that of the network in float32",
    )
    parser.add_argument("--cfg-options", nargs="+", action=ConfigOptions, metavar="KEY=VALUE")
    return parser.parse_args()


def main() -> None:
    """Exports and checks."""
    args = parse_args()
    cfg = read_config(args.config, args.cfg_options)
    override = GENOTYPE_OPTION in (args.cfg_options or {})
    try:
        network = init_generator(cfg, args.checkpoint, override)
    except (CheckpointError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from None
    try:
        report = export_checked_onnx(network, args.out, args.tolerance, args.opset)
    except (OnnxError, FloatingPointError) as error:
        raise SystemExit(f"{args.out} is not written: {error}") from None
    print(f"{args.out}: {report}")


if __name__ == "__main__":
    main()
