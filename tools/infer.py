"""Restores pictures and videos by a trained network: ``mmsrnas infer MODEL IN OUT``.

MODEL is a checkpoint of ours alone, a work dir, an exported file, or weights that spandrel knows.
IN is a picture, a video, a folder or a pattern; OUT a file, or a folder where there are several.
"""

import argparse
import json
import sys

from mmsrnas.command import failing_cleanly, parse_bytes

PRECISIONS = ("auto", "fp32", "fp16", "bf16")
RUNTIMES = ("auto", "torch", "onnxruntime", "openvino")


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("model", help="checkpoint, work dir, exported file, or weights")
    parser.add_argument("source", metavar="IN", help="picture, video, folder, or 'pattern*.png'")
    parser.add_argument("out", metavar="OUT", help="file, or folder")
    parser.add_argument("--config", help="for a checkpoint that does not say its network")
    parser.add_argument("--format", metavar="ENDING", help="of the results, e.g. png")
    parser.add_argument(
        "--existing",
        choices=("refuse", "skip", "overwrite"),
        default="refuse",
        help="what happens to results that are there already",
    )
    parser.add_argument("--device", help="default: the GPU where there is one")
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="auto", help="half where the hardware has it"
    )
    parser.add_argument(
        "--runtime", choices=RUNTIMES, default="auto", help="default: the fastest installed"
    )
    parser.add_argument(
        "--max-memory", type=parse_bytes, default="2G", help="of the process, e.g. 512M"
    )
    parser.add_argument("--tile", type=int, metavar="PIXELS", help="instead of --max-memory")
    parser.add_argument("--threads", type=int, help="of the CPU")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    return parser.parse_args()


def main() -> None:
    """Checks the paths, loads the network, and restores."""
    args = parse_args()
    with failing_cleanly():
        from mmsrnas.apis.inference.files import plan_files

        suffix = f".{args.format.removeprefix('.')}" if args.format else None
        plan = plan_files(args.source, args.out, suffix, args.existing)

        import torch

        from mmsrnas.apis.inference import Restorer, restore_files

        if args.threads:
            torch.set_num_threads(args.threads)
        restorer = Restorer(
            args.model,
            args.config,
            args.device,
            args.precision,
            args.max_memory,
            args.tile,
            args.runtime,
        )
        outcome = restore_files(restorer, plan, progress=sys.stderr.isatty())
    if args.json:
        print(json.dumps(outcome.to_dict(), indent=2))
    else:
        print(f"{len(outcome.done)} restored, {len(outcome.kept)} were there already.")
        for path, note in outcome.notes.items():
            print(f"{path}: {note}")
        print(f"Runtime: {outcome.runtime}.")
        if outcome.tiling:
            print(f"Large images: {outcome.tiling}.")
    if outcome.failed:
        lines = "\n".join(f"  {message}" for message in outcome.failed.values())
        raise SystemExit(f"{len(outcome.failed)} could not be restored:\n{lines}")


if __name__ == "__main__":
    main()
