"""Counts parameters and Multi-Adds: ``python tools/analysis_tools/get_flops.py CONFIG``.

Configs of mmagic work too.
"""

import argparse

from mmengine.config import Config, DictAction

from mmsrnas.analysis import complexity
from mmsrnas.apis import init_generator


def size(text: str) -> tuple[int, ...]:
    """Reads ``1280x720``."""
    return tuple(int(side) for side in text.lower().split("x"))


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Count parameters and Multi-Adds of a network")
    parser.add_argument("config", help="config file")
    parser.add_argument("--hr", type=size, default=(1280, 720), help="WIDTHxHEIGHT of the output")
    parser.add_argument(
        "--shape", type=size, metavar="CxHxW", help="shape of the input, instead of --hr"
    )
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, metavar="KEY=VALUE")
    args = parser.parse_args()
    if len(args.hr) != 2 or (args.shape and len(args.shape) != 3):
        parser.error("expected --hr WIDTHxHEIGHT or --shape CxHxW, e.g. --hr 1280x720")
    return args


def main() -> None:
    """Prints the counts and their convention."""
    args = parse_args()
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    network = init_generator(cfg)
    if args.shape:
        shape = args.shape
    else:
        scale = complexity.upscale_factor_of(network)
        width, height = complexity.lr_size_of(args.hr, scale)
        shape = (3, height, width)
    counts = complexity.count_complexity(network, shape)
    print(f"Network:     {type(network).__name__} of {args.config}")
    print(f"Input:       {shape[2]}x{shape[1]}, {shape[0]} channels")
    print(f"Parameters:  {counts.params:,}")
    print(f"Multi-Adds:  {counts.multi_adds / 1e9:.2f} G ({counts.multi_adds:,})")
    print(complexity.CONVENTION)


if __name__ == "__main__":
    main()
