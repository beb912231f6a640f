"""Reads the genotype off a search: ``python tools/derive.py CHECKPOINT``.

Works for any supernet. A search writes its genotype by itself at every validation and at its end;
this reads it from any other checkpoint of the search, which carries its config.
"""

import argparse
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmsrnas.checkpoint import Checkpoint, CheckpointError, read_checkpoint
from mmsrnas.engine.provenance import provenance
from mmsrnas.engine.supernet import require_supernet
from mmsrnas.genotypes.drawing import draw_genotype
from mmsrnas.registry import MODELS


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Derive the genotype from a search checkpoint")
    parser.add_argument("checkpoint", type=Path, help="checkpoint, or work dir of a search")
    parser.add_argument("--config", help="search config, where the checkpoint does not hold it")
    parser.add_argument("--out", type=Path, help="default: genotype.json beside the checkpoint")
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


def main() -> None:
    """Loads the supernet, decodes it, and writes the genotype and its drawing."""
    args = parse_args()
    try:
        checkpoint = read_checkpoint(args.checkpoint)
        cfg = Config.fromfile(args.config) if args.config else checkpoint.config()
        genotype = build_supernet(cfg, checkpoint).genotype()
    except (CheckpointError, FileNotFoundError) as error:
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
    print(f"Written to {out}, drawn in {out.with_suffix('.png')}. To train it:")
    print(f"  python tools/train.py CONFIG --cfg-options model.generator.genotype={out}")


if __name__ == "__main__":
    main()
