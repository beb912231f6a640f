"""Writes a trained network for another runtime: ``mmsrnas export MODEL OUT``.

The ending of OUT says what it becomes: .onnx, .xml (OpenVINO), or weights with the genotype inside
as .pth or .safetensors. A file is written only where it does what the network does in torch.
"""

import argparse
import json

from mmsrnas.command import failing_cleanly


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("model", help="checkpoint, its address, or the work dir of a run")
    parser.add_argument("out", metavar="OUT", help="target file")
    parser.add_argument("--config", help="for a checkpoint that does not say its network")
    parser.add_argument(
        "--precision",
        choices=("fp32", "fp16", "int8"),
        default="fp32",
        help="of an .onnx file; int8 needs --photos",
    )
    parser.add_argument(
        "--photos", metavar="DIR", help="calibrate int8, and measure the loss, on these"
    )
    parser.add_argument("--max-loss", type=float, metavar="DB", help="PSNR that may be lost")
    parser.add_argument("--sigma", type=float, default=25.0, help="noise, for a denoiser")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser.parse_args()


def main() -> None:
    """Exports and checks."""
    args = parse_args()
    with failing_cleanly():
        from mmsrnas.apis.export import ExportError, export

        try:
            report = export(
                args.model,
                args.out,
                args.precision,
                args.photos,
                args.max_loss,
                args.config,
                args.sigma,
                timed=True,
            )
        except ExportError as error:
            raise SystemExit(f"error: {error}") from None
    print(json.dumps(report.to_dict(), indent=2) if args.json else report)


if __name__ == "__main__":
    main()
