"""Reads the genotype off a search: ``python tools/derive.py CHECKPOINT``.

Works for any supernet. With a budget (``--max-latency 20``, ``--max-multi-adds 10e9``,
``--max-params 300e3``) it is the genotype that the search prefers among those within it, scaled to
what is left; several budgets, or ``--front N``, give as many genotypes. A search writes its
genotype by itself at every validation and at its end; this reads it from any other checkpoint of
the search, which carries its config.  Where sub-networks share trained weights, those of a
genotype of the search's width are written beside it (``genotype.pth``).
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmsrnas.analysis.derivation import Derived, derive, derive_measured, write_inherited
from mmsrnas.checkpoint import Checkpoint, CheckpointError, read_checkpoint
from mmsrnas.costs import Cost
from mmsrnas.engine.provenance import provenance
from mmsrnas.engine.supernet import require_supernet
from mmsrnas.genotypes import Genotype, GenotypeError
from mmsrnas.genotypes.drawing import draw_genotype
from mmsrnas.latency import NoisyMeasurementError, parse_target
from mmsrnas.models.supernet import PathSupernet
from mmsrnas.registry import MODELS


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Derive the genotype from a search checkpoint")
    parser.add_argument("checkpoint", type=Path, help="checkpoint, or work dir of a search")
    parser.add_argument("--config", help="search config, where the checkpoint does not hold it")
    parser.add_argument("--out", type=Path, help="default: genotype.json beside the checkpoint")
    budget = parser.add_mutually_exclusive_group()
    for cost, metavar, text in (
        ("latency", "MS", "milliseconds on --target; several make a front"),
        ("multi-adds", "N", "for a 1280x720 output"),
        ("params", "N", None),
    ):
        budget.add_argument(f"--max-{cost}", type=float, nargs="+", metavar=metavar, help=text)
    parser.add_argument(
        "--front", type=int, metavar="N", help="N genotypes, each for half the budget of the last"
    )
    parser.add_argument(
        "--target", type=parse_target, help="e.g. onnxruntime:cpu:1:180x320 (the default)"
    )
    parser.add_argument("--table", help="file of the latency table; default: in the cache folder")
    parser.add_argument("--mid-channels", type=int, help="a fixed width within the budget")
    parser.add_argument(
        "--max-spread", type=float, default=0.1, help="largest spread of a measurement to trust"
    )
    args = parser.parse_args()
    if args.config and not Path(args.config).is_file():
        parser.error(f"config file {args.config} does not exist")
    if args.front is not None and args.front < 1:
        parser.error(f"--front {args.front}: expected at least 1")
    if args.front and not any((args.max_latency, args.max_multi_adds, args.max_params)):
        parser.error("--front needs the largest budget, e.g. --max-latency 40")
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


def budgets_of(args: argparse.Namespace) -> tuple[str, list[float]]:
    """Type of the cost on the command line, and its budgets, the largest first."""
    given = {
        "latency": args.max_latency,
        "multi_adds": args.max_multi_adds,
        "params": args.max_params,
    }
    kind, budgets = next(((k, b) for k, b in given.items() if b), ("", []))
    if args.front and len(budgets) == 1:
        budgets = [budgets[0] / 2**n for n in range(args.front)]
    return kind, sorted(budgets, reverse=True)


def derive_within(args: argparse.Namespace, supernet: torch.nn.Module) -> Iterator[Genotype]:
    """The genotypes within the budgets of the command line, or the argmax of the search."""
    kind, budgets = budgets_of(args)
    if not kind:
        yield supernet.genotype()
        return
    place = dict(target=args.target, table=args.table) if kind == "latency" else {}
    cost = Cost(kind, **place)
    for budget in budgets:
        if kind == "latency":
            found, measured = derive_measured(
                supernet, cost, budget, args.mid_channels, max_spread=args.max_spread
            )
        else:
            found, measured = derive(supernet, cost, budget, args.mid_channels), None
        print(f"Within {budget:g}: {found}{liking(found)}.")
        if measured:
            print(f"Predicted {found.cost:.2f} ms, measured {measured}.")
        if not found.fills_budget:
            print("More than 2 % of the budget are left: the next larger network exceeds it.")
        yield found.genotype


def liking(found: Derived) -> str:
    """How much the search likes what was derived."""
    if found.loss == 0:
        return ", the favourite of the search"
    return f", {found.loss:.2g} nats less likely than the favourite of the search"


def main() -> None:
    """Loads the supernet, decodes it, and writes the genotypes and their drawings."""
    args = parse_args()
    try:
        checkpoint = read_checkpoint(args.checkpoint)
        cfg = Config.fromfile(args.config) if args.config else checkpoint.config()
        supernet = build_supernet(cfg, checkpoint)
        for number, genotype in enumerate(derive_within(args, supernet)):
            out = write(args, checkpoint, genotype, number)
            if isinstance(supernet, PathSupernet):
                write_weights(supernet, genotype, out.with_suffix(".pth"))
    except (CheckpointError, FileNotFoundError, ValueError, NoisyMeasurementError) as error:
        raise SystemExit(str(error)) from None


def write(
    args: argparse.Namespace, checkpoint: Checkpoint, genotype: Genotype, number: int
) -> Path:
    """Writes a genotype and its drawing; those of a front have numbers from the second on."""
    source, meta = Path(checkpoint.source), checkpoint.meta
    out = args.out or source.with_name("genotype.json")
    if number:
        out = out.with_stem(f"{out.stem}_{number + 1}")
    config = args.config or meta.get("experiment_name")
    origin = provenance(config, meta.get("seed"), meta.get("iter"))
    genotype.save(out, origin | {"checkpoint": source.name})
    draw_genotype(genotype, out.with_suffix(".png"))
    print(f"{source} after {meta.get('iter')} iterations:")
    for field, value in genotype.to_dict().items():
        print(f"  {field}: {value}")
    print(f"Written to {out}, drawn in {out.with_suffix('.png')}. To train it:")
    print(f"  mmsrnas train CONFIG --cfg-options model.generator.genotype={out}")
    return out


def write_weights(supernet: Any, genotype: Genotype, path: Path) -> None:
    """Writes the shared weights of a genotype, where it is one of the space."""
    try:
        write_inherited(supernet, genotype, path)
    except GenotypeError:
        print("No shared weights: width or depth are not those of the search.")
        return
    print(f"Shared weights in {path}: mmsrnas infer {path} IN OUT, or load_from of a training.")


if __name__ == "__main__":
    main()
