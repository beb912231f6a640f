"""From photographs and a budget to a shipped network: ``mmsrnas auto PHOTOS --max-latency 15``.

Plans, searches, derives, trains, tests beside interpolation and a scaled EDSR, exports, and writes
report.md. Interrupted, the same command goes on. What does not beat interpolation is not shipped.
"""

import argparse
import sys

from mmsrnas.command import failing_cleanly


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("photos", metavar="PHOTOS", help="folder of photographs")
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--max-latency", type=float, metavar="MS", help="milliseconds on --target")
    budget.add_argument("--max-multi-adds", type=float, metavar="N", help="for a 1280x720 output")
    budget.add_argument("--max-params", type=float, metavar="N")
    parser.add_argument("--target", help="e.g. onnxruntime:cpu:1:180x320 (the default)")
    parser.add_argument("--out", default="work_dirs/auto", help="folder of everything")
    parser.add_argument("--scale", type=int, default=2, help="2, 3 or 4")
    parser.add_argument("--method", default="dlsr", help="dlsr")
    parser.add_argument("--hours", type=float, default=1.0, help="time of all trainings")
    parser.add_argument("--mid-channels", type=int, default=24, help="width of the search")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dry-run", action="store_true", help="stop at the plan")
    parser.add_argument("--json", action="store_true", help="print the table as JSON")
    return parser.parse_args()


def main() -> None:
    """Plans, checks the budget, and does everything."""
    args = parse_args()
    with failing_cleanly():
        from mmsrnas.apis.auto import Budget, auto, check_budget
        from mmsrnas.apis.planning import plan
        from mmsrnas.costs import Cost

        kinds = {
            "latency": args.max_latency,
            "multi_adds": args.max_multi_adds,
            "params": args.max_params,
        }
        kind, limit = next((k, v) for k, v in kinds.items() if v is not None)
        place = {"target": args.target} if kind == "latency" else {}
        budget = Budget(Cost(kind, **place), limit)
        made = plan(
            args.photos,
            args.out,
            args.scale,
            args.method,
            args.hours,
            args.mid_channels,
            args.seed,
            progress=sys.stderr.isatty(),
        )
        print(made, file=sys.stderr)
        check_budget(made, budget)
        if args.dry_run:
            print(f"Planned in {made.folder}; without --dry-run it is done.", file=sys.stderr)
            return
        report = auto(made, budget)
    print((made.folder / "table.json").read_text() if args.json else report.read_text())
    if not (made.folder / "shipped").is_dir():
        raise SystemExit(f"error: nothing is shipped, see {report}")


if __name__ == "__main__":
    main()
