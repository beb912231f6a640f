"""Counts parameters and Multi-Adds: ``python tools/analysis_tools/get_flops.py CONFIG``.

Configs of mmagic work too.
"""

import argparse

from mmsrnas.analysis import complexity
from mmsrnas.apis import init_generator
from mmsrnas.apis.config import ConfigOptions, read_config


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Count parameters and Multi-Adds of a network")
    parser.add_argument("config", help="config file, or a checkpoint, which holds its own")
    parser.add_argument("checkpoint", nargs="?", help="trained network, where it says the genotype")
    parser.add_argument("--hr", type=complexity.read_hr_size, default="1280x720", metavar="WxH")
    parser.add_argument(
        "--shape",
        type=int,
        nargs=3,
        metavar=("C", "H", "W"),
        help="shape of the input, instead of the size of the output",
    )
    parser.add_argument("--cfg-options", nargs="+", action=ConfigOptions, metavar="KEY=VALUE")
    return parser.parse_args()


def main() -> None:
    """Prints the counts and their convention."""
    args = parse_args()
    cfg = read_config(args.config, args.cfg_options)
    network = init_generator(cfg, args.checkpoint)
    shape = args.shape or complexity.input_size_of(network, args.hr)
    counts = complexity.count_complexity(network, shape)
    print(f"Network:     {type(network).__name__} of {args.config}")
    print(f"Input:       {shape[2]}x{shape[1]}, {shape[0]} channels")
    print(f"Parameters:  {counts.params:,}")
    print(f"Multi-Adds:  {counts.multi_adds / 1e9:.2f} G ({counts.multi_adds:,})")
    print(complexity.CONVENTION)


if __name__ == "__main__":
    main()
