"""Checks all images that a config reads: ``python tools/misc/check_data.py CONFIG``.

Every image is decoded, and everything that is wrong is named, before a run stops at the first bad
one. Ends with status 1 where a run would stop.
"""

import argparse
from pathlib import Path

from mmsrnas.apis.config import ConfigOptions, read_config
from mmsrnas.apis.data_check import check_data


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Check the data of a config")
    parser.add_argument("config", help="config file")
    parser.add_argument("--out", type=Path, help="file for the report (.json)")
    parser.add_argument("--threads", type=int, default=4, help="threads that decode")
    parser.add_argument("--cfg-options", nargs="+", action=ConfigOptions, metavar="KEY=VALUE")
    return parser.parse_args()


def main() -> None:
    """Prints what is wrong, and what was looked at."""
    args = parse_args()
    report = check_data(read_config(args.config, args.cfg_options), args.threads)
    for finding in report.findings:
        print(f"{'error' if finding.stops else 'warning'}: {finding}")
    for key, count in report.samples.items():
        print(f"{key}: {count} samples")
    print(f"{report.images} images were decoded, {len(report.findings)} findings.")
    if args.out:
        report.save(args.out)
    if not report.is_good:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
