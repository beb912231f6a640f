"""Measures the latency of a config: ``python tools/analysis_tools/benchmark_latency.py CONFIG``."""

import argparse

from mmengine.config import Config, DictAction

from mmsrnas.analysis import lr_size_of, measure_latency, upscale_factor_of
from mmsrnas.apis import init_generator


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Measure the latency of a network for one image")
    parser.add_argument("config", help="config file")
    parser.add_argument("--hr", default="1280x720", help="WIDTHxHEIGHT of the output")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="threads on the CPU")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--bf16", action="store_true", help="autocast to bfloat16")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, metavar="KEY=VALUE")
    return parser.parse_args()


def main() -> None:
    """Prints the median and what it was measured on."""
    args = parse_args()
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    network = init_generator(cfg)
    width, height = (int(side) for side in args.hr.split("x"))
    lr_width, lr_height = lr_size_of((width, height), upscale_factor_of(network))
    latency = measure_latency(
        network,
        (3, lr_height, lr_width),
        device=args.device,
        threads=args.threads,
        channels_last=args.channels_last,
        bf16=args.bf16,
        repeats=args.repeats,
    )
    print(f"{type(network).__name__}: {latency}")


if __name__ == "__main__":
    main()
