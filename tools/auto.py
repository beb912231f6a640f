"""From photographs and a budget to a shipped network: ``mmsrnas auto PHOTOS --max-latency 15``.

Plans, searches, derives, trains, tests beside interpolation and hand-made networks of the same
cost, exports, and writes report.md. Interrupted, the same command goes on. What is not better than
interpolation is not shipped.
"""

import argparse
import sys
from contextlib import redirect_stdout

from mmsrnas.command import failing_cleanly, plan_of, plan_parser


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = plan_parser((__doc__ or "").split("\n\n")[1], "work_dirs/auto")
    parser.add_argument("--dry-run", action="store_true", help="stop at the plan")
    parser.add_argument("--json", action="store_true", help="print the table as JSON")
    return parser.parse_args()


def main() -> None:
    """Plans, and does everything."""
    args = parse_args()
    # What is printed in between, logs of mmengine too, is not for a program that reads the result.
    with failing_cleanly(), redirect_stdout(sys.stderr):
        made, budget = plan_of(args)
        print(made, file=sys.stderr)
        if args.dry_run:
            print(f"Planned in {made.folder}; without --dry-run it is done.", file=sys.stderr)
            return
        from mmsrnas.apis.auto import auto

        report = auto(made, budget)
    print((made.folder / "table.json").read_text() if args.json else report.read_text())
    if not (made.folder / "shipped").is_dir():
        raise SystemExit(f"error: nothing is shipped, see {report}")


if __name__ == "__main__":
    main()
