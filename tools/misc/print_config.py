"""Prints a config with all that it inherits: ``python tools/misc/print_config.py CONFIG``."""

import argparse

from mmsrnas.apis.config import ConfigOptions, read_config


def main() -> None:
    """Reads the config and prints it."""
    parser = argparse.ArgumentParser(description="Print a config with all that it inherits")
    parser.add_argument("config", help="config file")
    parser.add_argument("--cfg-options", nargs="+", action=ConfigOptions, metavar="KEY=VALUE")
    args = parser.parse_args()
    print(read_config(args.config, args.cfg_options).pretty_text)


if __name__ == "__main__":
    main()
