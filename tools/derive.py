"""Reads the genotype off a search: ``python tools/derive.py CHECKPOINT``.

Works for any supernet. With a budget (``--max-latency 20``, ``--max-multi-adds 10e9``,
``--max-params 300e3``) it is the genotype that the search prefers among those within it, widened to
what is left. A search writes its genotype by itself at every validation and at its end;
this reads it from any other checkpoint of the search, which carries its config.  Where sub-networks
share trained weights, those of the genotype are written beside it (``genotype.pth``).
"""

import argparse
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmsrnas.analysis.derivation import derive
from mmsrnas.checkpoint import Checkpoint, CheckpointError, read_checkpoint
from mmsrnas.costs import Cost
from mmsrnas.engine.provenance import provenance
from mmsrnas.engine.supernet import require_supernet
from mmsrnas.files import atomic_write
from mmsrnas.genotypes import Genotype
from mmsrnas.genotypes.drawing import draw_genotype
from mmsrnas.latency import NoisyMeasurementError, measure, parse_target
from mmsrnas.models.supernet import SandwichSupernet
from mmsrnas.registry import MODELS


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Derive the genotype from a search checkpoint")
    parser.add_argument("checkpoint", type=Path, help="checkpoint, or work dir of a search")
    parser.add_argument("--config", help="search config, where the checkpoint does not hold it")
    parser.add_argument("--out", type=Path, help="default: genotype.json beside the checkpoint")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--max-latency", type=float, metavar="MS", help="milliseconds on --target")
    budget.add_argument("--max-multi-adds", type=float, metavar="N", help="for a 1280x720 output")
    budget.add_argument("--max-params", type=float, metavar="N")
    parser.add_argument(
        "--target", type=parse_target, help="e.g. onnxruntime:cpu:1:180x320 (the default)"
    )
    parser.add_argument("--table", help="file of the latency table; default: in the cache folder")
    parser.add_argument("--mid-channels", type=int, help="a fixed width within the budget")
    args = parser.parse_args()
    if args.config and not Path(args.config).is_file():
        parser.error(f"config file {args.config} does not exist")
    if args.out and args.out.suffix != ".json":
        parser.error(f"--out {args.out} must end in .json")
    return args


def build_supernet(cfg: Config, checkpoint: Checkpoint) -> torch.nn.Module:
    """The supernet of a config with the parameters of a checkpoint, all of them."""
    init_default_scope(cfg.get("default_scope", "mmagic"))
    generator = MODELS.build(cfg.model.generator)
    try:
        supernet = require_supernet(generator)
    except TypeError as error:
        raise SystemExit(f"{checkpoint} is no checkpoint of a search. {error}") from None
    checkpoint.load_into(supernet)
    return supernet


def derive_within(args: argparse.Namespace, supernet: torch.nn.Module) -> Genotype:
    """The genotype within the budget of the command line, or the argmax of the search."""
    budgets = {
        "latency": args.max_latency,
        "multi_adds": args.max_multi_adds,
        "params": args.max_params,
    }
    kind = next((kind for kind, budget in budgets.items() if budget is not None), None)
    if kind is None:
        return supernet.genotype()
    place = dict(target=args.target, table=args.table) if kind == "latency" else {}
    cost = Cost(kind, **place)
    found = derive(supernet, cost, budgets[kind], args.mid_channels)
    print(f"Preference number {found.rank + 1} of the search costs {found}.")
    if not found.fills_budget:
        print("More than 2 % of the budget are left: the next width would exceed it.")
    if kind == "latency":
        measured = measure(supernet.build_network(found.genotype), cost.target)
        print(f"Predicted {found.cost:.2f} ms, measured {measured}.")
    return found.genotype


def write_weights(network: torch.nn.Module, path: Path) -> None:
    """Writes the weights of a network as those of an editor's generator."""
    state = {f"generator.{name}": value for name, value in network.state_dict().items()}
    meta = {"genotype": network.genotype.to_dict()}
    with atomic_write(path) as partial:
        torch.save({"state_dict": state, "meta": meta}, partial)
    print(f"Shared weights in {path}, usable at once and as load_from of a training.")


def main() -> None:
    """Loads the supernet, decodes it, and writes the genotype and its drawing."""
    args = parse_args()
    try:
        checkpoint = read_checkpoint(args.checkpoint)
        cfg = Config.fromfile(args.config) if args.config else checkpoint.config()
        supernet = build_supernet(cfg, checkpoint)
        genotype = derive_within(args, supernet)
    except (CheckpointError, FileNotFoundError, ValueError, NoisyMeasurementError) as error:
        raise SystemExit(str(error)) from None
    source, meta = Path(checkpoint.source), checkpoint.meta
    out = args.out or source.with_name("genotype.json")
    config = args.config or meta.get("experiment_name")
    origin = provenance(config, meta.get("seed"), meta.get("iter"))
    genotype.save(out, origin | {"checkpoint": source.name})
    draw_genotype(genotype, out.with_suffix(".png"))
    print(f"{source} after {meta.get('iter')} iterations:")
    for field, value in genotype.to_dict().items():
        print(f"  {field}: {value}")
    if isinstance(supernet, SandwichSupernet):
        write_weights(supernet.extract(genotype), out.with_suffix(".pth"))
    print(f"Written to {out}, drawn in {out.with_suffix('.png')}. To train it:")
    print(f"  python tools/train.py CONFIG --cfg-options model.generator.genotype={out}")


if __name__ == "__main__":
    main()
