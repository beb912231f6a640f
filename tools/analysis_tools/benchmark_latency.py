"""Measures the latency of a config: ``python tools/analysis_tools/benchmark_latency.py CONFIG``.

Beside the measurement stands the prediction, and where the time goes: a table of the operators of
the network on the target, worst first. Configs of mmagic work too.
"""

import argparse

from mmsrnas.analysis import operator_table
from mmsrnas.apis import init_generator
from mmsrnas.apis.config import ConfigOptions, read_config
from mmsrnas.costs import Cost
from mmsrnas.latency import NoisyMeasurementError, measure, parse_target


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Measure the latency of a network for one image")
    parser.add_argument("config", help="config file, or a checkpoint, which holds its own")
    parser.add_argument("checkpoint", nargs="?", help="trained network, where it says the genotype")
    parser.add_argument(
        "--target",
        type=parse_target,
        default="onnxruntime:cpu:1",
        help="runtime, device, threads and size of the input, in any order, e.g. "
        "torch:cpu:2:bf16:360x640 (default: onnxruntime:cpu:1:180x320)",
    )
    parser.add_argument("--table", help="file of the latency table; default: in the cache folder")
    parser.add_argument(
        "--operators", type=int, default=10, metavar="N", help="rows of the table; 0 leaves it out"
    )
    parser.add_argument("--samples", type=int, default=9, help="times that are measured")
    parser.add_argument("--max-spread", type=float, default=0.1, help="largest spread to trust")
    parser.add_argument("--cfg-options", nargs="+", action=ConfigOptions, metavar="KEY=VALUE")
    return parser.parse_args()


def main() -> None:
    """Prints the measurement and the operators."""
    args = parse_args()
    network = init_generator(read_config(args.config, args.cfg_options), args.checkpoint)
    try:
        measured = measure(network, args.target, args.samples, args.max_spread)
        print(f"{type(network).__name__}: {measured}")
        if args.operators:
            cost = Cost("latency", args.target, args.table)
            print(operator_table(cost, network, args.operators))
    except (NoisyMeasurementError, ValueError, FileNotFoundError) as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
