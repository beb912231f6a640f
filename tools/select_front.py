"""Finds the front of a supernet trained by paths: ``python tools/select_front.py WORK_DIR``.

Judges sub-networks with their shared weights on held-out images, by NSGA-II, or all of them where
they are few.  Writes the front as genotypes, a table of everything that was judged, a picture, and
``supernet.pth``, from which ``tools/derive.py`` picks the best network within a budget.
"""

import argparse
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmsrnas.analysis.finals import final_round, varied
from mmsrnas.analysis.front_selection import held_out_images, select_front
from mmsrnas.apis.config import ConfigOptions, override
from mmsrnas.checkpoint import Checkpoint, read_checkpoint
from mmsrnas.costs import COSTS, Cost
from mmsrnas.datasets import check_datasets
from mmsrnas.engine.provenance import provenance
from mmsrnas.latency import parse_target
from mmsrnas.models.supernet import PathSupernet
from mmsrnas.registry import MODELS


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Select the front of a supernet")
    parser.add_argument("checkpoint", type=Path, help="checkpoint, or work dir of a search")
    parser.add_argument("--config", help="search config, where the checkpoint does not hold it")
    parser.add_argument("--out", type=Path, help="default: folder 'front' beside the checkpoint")
    parser.add_argument("--cost", choices=COSTS, default="latency", help="what is to be low")
    parser.add_argument(
        "--target", type=parse_target, help="e.g. onnxruntime:cpu:1:180x320 (the default)"
    )
    parser.add_argument("--table", help="file of the latency table; default: in the cache folder")
    parser.add_argument("--evaluations", type=int, default=500, help="sub-networks to judge")
    parser.add_argument(
        "--final", type=int, default=0, metavar="STEPS",
        help="then train the best alone for so many steps each, and judge them by that",
    )  # fmt: skip
    parser.add_argument("--finalists", type=int, default=24, help="networks of the final")
    parser.add_argument("--crop", type=int, default=96, help="side of the middle of LR images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--cfg-options", nargs="+", action=ConfigOptions, metavar="KEY=VALUE")
    args = parser.parse_args()
    for name in ("evaluations", "crop", "finalists"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} must be at least 1")
    if args.final < 0:
        parser.error("--final must be at least 0")
    return args


def load_search(args: argparse.Namespace, checkpoint: Checkpoint) -> tuple[Config, torch.nn.Module]:
    """Config, and editor with all its weights."""
    cfg = Config.fromfile(args.config) if args.config else checkpoint.config()
    override(cfg, args.cfg_options)
    check_datasets(cfg, *(("val", "train") if args.final else ("val",)))
    init_default_scope(cfg.get("default_scope", "mmagic"))
    editor = MODELS.build(cfg.model)
    if not isinstance(editor.generator, PathSupernet):
        raise TypeError(
            f"model.generator is {type(editor.generator).__name__}, whose sub-networks cannot be "
            "judged with shared weights; mmsrnas derive reads the genotype of other searches."
        )
    checkpoint.load_into(editor, "")
    return cfg, editor.to(args.device).eval()


def main() -> None:
    """Judges, selects and writes."""
    args = parse_args()
    place = dict(target=args.target, table=args.table) if args.cost == "latency" else {}
    try:
        cost = Cost(args.cost, **place)
        checkpoint = read_checkpoint(args.checkpoint)
        cfg, editor = load_search(args, checkpoint)
        front = select_front(
            editor, cfg.val_dataloader, cost, args.evaluations, args.crop, args.seed
        )
        if args.final:
            images = held_out_images(editor, cfg.val_dataloader, args.crop)
            finalists = varied(front.nearest())[: args.finalists]
            front = front.judged_anew(
                final_round(editor, cfg.train_dataloader, images, finalists, args.final)
            )
    except (FileNotFoundError, ModuleNotFoundError, TypeError, ValueError) as error:
        raise SystemExit(f"{args.checkpoint}: {error}") from None
    source, meta = Path(checkpoint.source), checkpoint.meta
    out = args.out or source.parent / "front"
    config = args.config or meta.get("experiment_name")
    origin = provenance(config, meta.get("seed"), meta.get("iter"))
    front.write(out, origin | {"checkpoint": source.name})
    editor.cpu().generator.rank([scored.genotype for scored in reversed(front.front)])
    torch.save(checkpoint.content | {"state_dict": editor.state_dict()}, out / "supernet.pth")
    print(front.summary())
    print(f"Written to {out}. To take the best network within a budget:")
    print(f"  mmsrnas derive {out}/supernet.pth --max-latency MS")


if __name__ == "__main__":
    main()
