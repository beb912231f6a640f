"""What all commands share; imports nothing that is slow."""

import argparse
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # slow to import
    from mmsrnas.apis.auto import Budget, Plan

__all__ = ["failing_cleanly", "parse_bytes", "plan_of", "plan_parser"]

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@contextmanager
def failing_cleanly() -> Iterator[None]:
    """Ends the program with the message of an error that the user can mend, and status 1."""
    try:
        yield
    except (ValueError, OSError, MemoryError, ModuleNotFoundError, FloatingPointError) as error:
        raise SystemExit(f"error: {error}") from error


def parse_bytes(text: str) -> int:
    """Reads an amount of memory from the command line.

    Args:
        text: A number with or without unit: ``'512M'``, ``'2G'``, ``'1.5GiB'``.

    Raises:
        argparse.ArgumentTypeError: The text is no amount.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if not match:
        raise argparse.ArgumentTypeError(f"expected an amount such as 512M or 2G, got {text!r}")
    return int(float(match[1]) * UNITS[match[2].upper()])


def plan_parser(description: str, out: str) -> argparse.ArgumentParser:
    """The command line of what plans a search on photographs.

    Args:
        description: What the command does.
        out: Default of ``--out``.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("photos", metavar="PHOTOS", help="folder of photographs")
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--max-latency", type=float, metavar="MS", help="milliseconds on --target")
    budget.add_argument("--max-multi-adds", type=float, metavar="N", help="for a 1280x720 output")
    budget.add_argument("--max-params", type=float, metavar="N")
    parser.add_argument("--target", help="e.g. onnxruntime:cpu:1:180x320 (the default)")
    parser.add_argument("--out", default=out, help=f"folder of everything ({out})")
    parser.add_argument("--task", default="sr", help="sr (the default) or denoise")
    parser.add_argument("--scale", type=int, default=2, help="2, 3 or 4, for sr")
    parser.add_argument("--sigma", type=float, default=25.0, help="noise in 0..255, for denoise")
    parser.add_argument("--method", default="elastic", help="elastic (the default) or dlsr")
    parser.add_argument("--hours", type=float, default=1.0, help="time of all trainings")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--control", action="store_true", help="train a random network and all hand-made ones"
    )
    return parser


def plan_of(args: argparse.Namespace) -> "tuple[Plan, Budget]":
    """The plan and the budget that the options of :func:`plan_parser` ask for.

    Raises:
        ValueError: An option has no meaning, or the budget is out of reach.
        FileNotFoundError: There is no photograph.
    """
    from mmsrnas.apis.auto import Budget, plan
    from mmsrnas.costs import Cost

    limits = dict(latency=args.max_latency, multi_adds=args.max_multi_adds, params=args.max_params)
    kind, limit = next((k, v) for k, v in limits.items() if v is not None)
    if args.target and kind != "latency":
        raise ValueError("--target: it belongs to --max-latency.")
    place = {"target": args.target} if kind == "latency" else {}
    budget = Budget(Cost(kind, **place), limit)
    made = plan(
        args.photos,
        args.out,
        budget,
        args.task,
        args.scale,
        args.method,
        args.hours,
        args.sigma,
        args.seed,
        args.control,
        progress=sys.stderr.isatty(),
    )
    return made, budget
