"""Measures the latency of a config: ``python tools/analysis_tools/benchmark_latency.py CONFIG``."""

import argparse

from mmsrnas.analysis import input_size_of, measure_latency, read_hr_size
from mmsrnas.apis import init_generator
from mmsrnas.apis.config import ConfigOptions, read_config


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Measure the latency of a network for one image")
    parser.add_argument("config", help="config file, or a checkpoint, which holds its own")
    parser.add_argument("checkpoint", nargs="?", help="trained network, where it says the genotype")
    parser.add_argument("--hr", type=read_hr_size, default="1280x720", metavar="WxH")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="threads on the CPU")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--bf16", action="store_true", help="autocast to bfloat16")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cfg-options", nargs="+", action=ConfigOptions, metavar="KEY=VALUE")
    return parser.parse_args()


def main() -> None:
    """Prints the median and what it was measured on."""
    args = parse_args()
    cfg = read_config(args.config, args.cfg_options)
    network = init_generator(cfg, args.checkpoint)
    latency = measure_latency(
        network,
        input_size_of(network, args.hr),
        device=args.device,
        threads=args.threads,
        channels_last=args.channels_last,
        bf16=args.bf16,
        repeats=args.repeats,
    )
    print(f"{type(network).__name__}: {latency}")


if __name__ == "__main__":
    main()
