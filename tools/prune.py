"""Removes channels of a trained network: ``python tools/prune.py CONFIG CHECKPOINT --genotype G``.

Writes ``pruned.pth``, the thin network (and dual networks) to fine-tune, and ``genotype.json``, its
widths. Started again with the same options, it continues after the last finished site.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from mmagic.structures import DataSample
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, set_random_seed
from torch import nn

from mmsrnas.datasets import check_datasets
from mmsrnas.engine.provenance import provenance
from mmsrnas.genotypes import DRCGenotype, load_genotype
from mmsrnas.models.pretrained import load_pretrained
from mmsrnas.pruning import ChannelSelector, WidthCost, find_sites, fit_widths, remove_channels
from mmsrnas.pruning.cost import COSTS
from mmsrnas.pruning.selection import CRITERIA
from mmsrnas.registry import MODELS


def parse_args() -> argparse.Namespace:
    """Reads the command line; a wrong path ends the program with a message."""
    parser = argparse.ArgumentParser(description="Remove channels of a trained network")
    parser.add_argument("config", help="config of the full network or of the search")
    parser.add_argument("checkpoint", help="checkpoint of the full network or of the search")
    widths = parser.add_mutually_exclusive_group(required=True)
    widths.add_argument("--genotype", help="name of a DRC genotype, or genotype.json of a search")
    widths.add_argument("--uniform", type=float, metavar="BUDGET", help="equal shares everywhere")
    widths.add_argument("--random", type=float, metavar="BUDGET", help="random shares, by --seed")
    parser.add_argument("--cost", choices=COSTS, default=COSTS[0], help="unit of BUDGET")
    parser.add_argument("--criterion", choices=CRITERIA, default=CRITERIA[0])
    parser.add_argument("--batches", type=int, default=10, help="batches of the training data")
    parser.add_argument("--lr", type=float, default=5e-5, help="learning rate of the fit")
    parser.add_argument("--channels-per-step", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--work-dir", help="folder of the results; default work_dirs/CONFIG_prune")
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, metavar="KEY=VALUE")
    args = parser.parse_args()
    for path in (args.config, args.checkpoint):
        if not Path(path).is_file():
            parser.error(f"{path} does not exist")
    for name in ("uniform", "random"):
        budget = getattr(args, name)
        if budget is not None and not 0 < budget <= 1:
            parser.error(f"--{name}: expected a share of the full cost in (0, 1], got {budget}")
    if args.batches < 1 or args.channels_per_step < 1:
        parser.error("--batches and --channels-per-step must be at least 1")
    return args


def build_editor(cfg: Config, checkpoint: str) -> nn.Module:
    """The editor of a config with the full network and its trained weights."""
    model, prefix = cfg.model, "generator."
    if model.generator.type == "mmsrnas.ChannelNumberSearch":
        model.generator, prefix = model.generator.generator, "generator.generator."
    for key in ("pretrained", "distillation"):
        model.pop(key, None)
    editor = MODELS.build(model)
    if not load_pretrained(editor.generator, checkpoint, prefix, "checkpoint"):
        raise SystemExit(f"checkpoint: '{checkpoint}' has no '{prefix}' weights")
    if hasattr(editor, "dual_networks") and not load_pretrained(
        editor.dual_networks, checkpoint, "dual_networks.", "checkpoint"
    ):
        raise SystemExit(f"checkpoint: '{checkpoint}' has no dual networks; train them first")
    return editor.requires_grad_(False).eval()


def choose_widths(net: nn.Module, args: argparse.Namespace) -> DRCGenotype:
    """The given genotype, or uniform or random widths of the given budget."""
    if args.genotype:
        return load_genotype(args.genotype, "drc")
    sites = find_sites(net)
    cost = WidthCost(net, sites, args.cost)
    wanted = cost.full_widths
    if args.random:
        generator = torch.Generator().manual_seed(args.seed)
        wanted = wanted * (0.2 + 0.8 * torch.rand(len(sites), generator=generator))
    options = [sorted({*range(4, site.width, 4), site.width}) for site in sites]
    widths = fit_widths(wanted, options, cost, (args.uniform or args.random) * cost.full())
    full_widths = tuple(site.width for site in sites)
    return DRCGenotype(type(net).__name__, full_widths, tuple(widths))


def draw_batches(cfg: Config, count: int, seed: int, file: Path) -> list[dict[str, torch.Tensor]]:
    """Fixed batches of the training data, the same ones when a run continues."""
    if file.is_file():
        return torch.load(file, weights_only=True)
    set_random_seed(seed)
    dataloader = Runner.build_dataloader(cfg.train_dataloader, seed=seed)
    batches = []
    for batch, _ in zip(dataloader, range(count), strict=False):
        hr = torch.stack([sample.gt_img for sample in batch["data_samples"]])
        batches.append({"lr": torch.stack(list(batch["inputs"])), "hr": hr})
    partial = file.with_suffix(".part")
    torch.save(batches, partial)
    partial.replace(file)
    return batches


def prepare(editor: nn.Module, batch: dict[str, torch.Tensor]) -> dict[str, Any]:
    """A batch as the editor takes it, on its device."""
    samples = [DataSample(gt_img=hr, metainfo={"gt_channel_order": "rgb"}) for hr in batch["hr"]]
    return editor.data_preprocessor({"inputs": batch["lr"], "data_samples": samples}, True)


def count(net: nn.Module) -> tuple[int, float]:
    """Parameters and Multi-Adds for 1280x720."""
    return sum(p.numel() for p in net.parameters()), WidthCost(net, find_sites(net)).full()


def main() -> None:
    """Selects the channels, removes the others and saves the thin network."""
    args = parse_args()
    cfg = Config.fromfile(args.config)
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    init_default_scope(cfg.get("default_scope", "mmagic"))
    work_dir = Path(args.work_dir or Path("work_dirs") / f"{Path(args.config).stem}_prune")
    needs_data = args.criterion == "dual_regression"
    if needs_data:
        check_datasets(cfg, "train")
    editor = build_editor(cfg, args.checkpoint).to(args.device)
    net = editor.generator
    genotype = choose_widths(net, args)
    params, multi_adds = count(net)
    work_dir.mkdir(parents=True, exist_ok=True)
    batches = []
    if needs_data:
        drawn = draw_batches(cfg, args.batches, args.seed, work_dir / "batches.pth")
        batches = [prepare(editor, batch) for batch in drawn]
    # The selection weighs features against losses on the range that the network works on.
    scale = getattr(net, "img_range", 1.0)
    selector = ChannelSelector(
        net,
        genotype,
        batches,
        lambda batch: scale * editor.parse_losses(editor(**batch, mode="loss"))[0],
        criterion=args.criterion,
        lr=args.lr,
        channels_per_step=args.channels_per_step,
        seed=args.seed,
    )
    remove_channels(net, selector.sites, selector.run(work_dir / "selection.pth"))
    weights = {
        name: tensor.cpu()
        for name, tensor in editor.state_dict().items()
        if name.startswith(("generator.", "dual_networks."))
    }
    torch.save({"state_dict": weights}, work_dir / "pruned.pth")
    genotype.save(
        work_dir / "genotype.json",
        provenance(args.config, args.seed, None)
        | {"checkpoint": args.checkpoint, "criterion": args.criterion},
    )
    thin_params, thin_multi_adds = count(net)
    print(f"parameters: {params:,} -> {thin_params:,} ({thin_params / params:.1%})")
    print(
        f"Multi-Adds for 1280x720: {multi_adds / 1e9:.1f} G -> {thin_multi_adds / 1e9:.1f} G "
        f"({thin_multi_adds / multi_adds:.1%})"
    )
    print(f"{work_dir}/pruned.pth and genotype.json are ready for fine-tuning")


if __name__ == "__main__":
    main()
