"""Writes the configs of a search on own photographs: ``mmsrnas plan PHOTOS``.

The photographs are read, split by photograph and cut into pairs; the configs are ordinary ones, to
be edited and run by ``mmsrnas search`` and ``mmsrnas train``.
"""

import argparse
import json
import sys

from mmsrnas.command import failing_cleanly


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[1])
    parser.add_argument("photos", metavar="PHOTOS", help="folder of photographs")
    parser.add_argument("--out", default="work_dirs/plan", help="folder of the plan")
    parser.add_argument("--scale", type=int, default=2, help="2, 3 or 4")
    parser.add_argument("--method", default="dlsr", help="dlsr")
    parser.add_argument("--hours", type=float, default=1.0, help="time of all trainings")
    parser.add_argument("--mid-channels", type=int, default=24, help="width of the search")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    return parser.parse_args()


def main() -> None:
    """Looks at the photographs and writes the plan."""
    args = parse_args()
    with failing_cleanly():
        from mmsrnas.apis.planning import plan

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
    if args.json:
        print(json.dumps(made.to_dict(), indent=2))
        return
    print(made)
    print(f"Next: mmsrnas search {made.config('search')} --work-dir {made.folder / 'search'}")


if __name__ == "__main__":
    main()
