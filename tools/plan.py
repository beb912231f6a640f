"""Writes the configs of a search on own photographs: ``mmsrnas plan PHOTOS --max-latency 15``.

The photographs are read, split by photograph and cut into pairs; the configs are ordinary ones, to
be edited and run by ``mmsrnas search`` and ``mmsrnas train``, or all together by ``mmsrnas auto``.
"""

import argparse
import json

from mmsrnas.command import failing_cleanly, plan_of, plan_parser


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = plan_parser((__doc__ or "").split("\n\n")[1], "work_dirs/plan")
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    return parser.parse_args()


def main() -> None:
    """Looks at the photographs and writes the plan."""
    args = parse_args()
    with failing_cleanly():
        made, _ = plan_of(args)
    if args.json:
        print(json.dumps(made.to_dict(), indent=2))
        return
    print(made)
    print(f"Next: mmsrnas search {made.config('search')} --work-dir {made.folder / 'search'}")


if __name__ == "__main__":
    main()
