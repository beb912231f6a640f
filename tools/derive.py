"""Reads the genotype off a search: ``python tools/derive.py CHECKPOINT``.

Works for any supernet. A search writes its genotype by itself at every validation and at its end;
this reads it from any other checkpoint of the search, which carries its config.
"""

import argparse
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader

from mmsrnas.apis.search_checkpoint import find_checkpoint, search_config
from mmsrnas.compat import explain_refused_checkpoint
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
    try:
        args.checkpoint = find_checkpoint(args.checkpoint)
    except FileNotFoundError as error:
        parser.error(str(error))
    if args.config and not Path(args.config).is_file():
        parser.error(f"config file {args.config} does not exist")
    if args.out and args.out.suffix != ".json":
        parser.error(f"--out {args.out} must end in .json")
    return args


def build_supernet(cfg: Config, checkpoint: dict, source: Path) -> torch.nn.Module:
    """The supernet of a config with the parameters of a checkpoint, all of them."""
    init_default_scope(cfg.get("default_scope", "mmagic"))
    generator = MODELS.build(cfg.model.generator)
    weights = checkpoint.get("state_dict", {}).items()
    prefix = "generator."
    try:
        supernet = require_supernet(generator)
        supernet.load_state_dict(
            {key.removeprefix(prefix): v for key, v in weights if key.startswith(prefix)}
        )
    except TypeError as error:
        raise SystemExit(f"{source} is no checkpoint of a search. {error}") from None
    except RuntimeError as error:
        raise SystemExit(f"{source} does not fit the search config. {error}") from None
    return supernet


def main() -> None:
    """Loads the supernet, decodes it, and writes the genotype and its drawing."""
    args = parse_args()
    with explain_refused_checkpoint(args.checkpoint):
        checkpoint = CheckpointLoader.load_checkpoint(str(args.checkpoint), map_location="cpu")
    meta = checkpoint.get("meta", {})
    try:
        cfg = search_config(args.config, meta, args.checkpoint)
    except LookupError as error:
        raise SystemExit(str(error)) from None
    genotype = build_supernet(cfg, checkpoint, args.checkpoint).genotype()
    out = args.out or args.checkpoint.with_name("genotype.json")
    source = args.config or meta.get("experiment_name")
    origin = provenance(source, meta.get("seed"), meta.get("iter"))
    genotype.save(out, origin | {"checkpoint": args.checkpoint.name})
    draw_genotype(genotype, out.with_suffix(".png"))
    print(f"{args.checkpoint} after {meta.get('iter')} iterations:")
    for field, value in genotype.to_dict().items():
        print(f"  {field}: {value}")
    print(f"Written to {out}, drawn in {out.with_suffix('.png')}. To train it:")
    print(f"  python tools/train.py CONFIG --cfg-options model.generator.genotype={out}")


if __name__ == "__main__":
    main()
