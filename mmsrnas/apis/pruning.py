"""Pruning of a trained network: widths, channels, surgery."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, set_random_seed
from torch import Tensor, nn

import mmsrnas
from mmsrnas.checkpoint import EMA, read_checkpoint
from mmsrnas.costs import Cost, count_params
from mmsrnas.datasets import check_datasets
from mmsrnas.engine.batches import BatchStream
from mmsrnas.engine.provenance import provenance
from mmsrnas.files import atomic_write
from mmsrnas.genotypes import DRCGenotype, Genotype, load_genotype
from mmsrnas.pruning import (
    ChannelNumberSearch,
    ChannelSelector,
    WidthCost,
    find_sites,
    full_genotype,
    random_widths,
    remove_channels,
    uniform_widths,
)
from mmsrnas.registry import MODELS
from mmsrnas.sizes import in_channels_of, output_shape

__all__ = ["Pruned", "prune", "training_loss"]

PRUNED_NET = "mmsrnas.PrunedNet"


@dataclass(frozen=True)
class Pruned:
    """Result of a pruning.

    Attributes:
        genotype: The pruned network.
        params: Number of parameters before and after.
        multi_adds: Multi-Adds for a 1280x720 HR image before and after.
        checkpoint: File of the pruned weights, with the genotype in its ``meta``.
        genotype_file: File of the genotype.
    """

    genotype: DRCGenotype
    params: tuple[int, int]
    multi_adds: tuple[int, int]
    checkpoint: Path
    genotype_file: Path


def prune(
    cfg: Config,
    checkpoint: str | Path,
    work_dir: str | Path,
    genotype: str | Path | Genotype | None = None,
    uniform: float | None = None,
    random: float | None = None,
    cost: str | Mapping[str, Any] = "multi_adds",
    criterion: str = "dual_regression",
    num_batches: int = 10,
    lr: float = 5e-5,
    channels_per_step: int = 1,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> Pruned:
    """Removes channels of a trained network, judged by the loss of its training.

    Writes ``pruned.pth``, the weights of the editor with the pruned network, and ``genotype.json``
    into ``work_dir``. Called again with the same arguments, data and weights, it continues after
    the last finished site; what has changed since is named instead. Several processes of
    ``torch.distributed`` share the work of ``'dual_regression'``; the first one writes.

    Args:
        cfg: Config of the training of the full network, or of the search.
        checkpoint: Checkpoint of either.
        work_dir: Folder of the results.
        genotype: The widths: name, path or value of a DRC genotype.
        uniform: In its place, the share of the full cost that equal shares everywhere may have.
        random: In its place, the share of the full cost that random widths may have.
        cost: The cost of these shares, see :func:`~mmsrnas.costs.build_cost`.
        criterion: ``'dual_regression'``, ``'l1'`` or ``'random'``; the last two read no data.
        num_batches: Batches of the training data, drawn once and used throughout.
        lr: Learning rate of the fit after each selection.
        channels_per_step: Channels that one gradient selects.
        seed: Seed of the batches and of random widths and channels.
        device: Where to compute.

    Returns:
        The genotype, the costs and the files.

    Raises:
        ValueError: Not one of ``genotype``, ``uniform`` and ``random``; numbers out of range; a
            checkpoint of other networks, or a state in ``work_dir`` of another job.
        GenotypeError: The genotype does not fit the network.
        FileNotFoundError: The checkpoint or the training data are missing.
    """
    _check_arguments(genotype, uniform, random, num_batches, channels_per_step)
    init_default_scope(cfg.get("default_scope", "mmagic"))
    model = training_model(cfg)
    needs_data = criterion == "dual_regression"
    if needs_data:
        check_datasets(cfg, "train")
    editor = load_editor(model, part_of(cfg), str(checkpoint)).to(device)
    net = editor.generator
    full = full_genotype(net, model["generator"])
    if genotype is not None:
        target: DRCGenotype = load_genotype(genotype, "drc")
        target.check_fits(full.architecture, full.full_widths, dict(full.arguments))
    else:
        cost_of = WidthCost(net, find_sites(net), cost)
        share = next(value for value in (uniform, random) if value is not None)
        budget = share * cost_of.full()
        widths = (
            random_widths(cost_of, budget, seed)
            if uniform is None
            else uniform_widths(cost_of, budget)
        )
        target = full.replace(widths=widths)
    work_dir = Path(work_dir)
    work_dir.mkdir(parents=True, exist_ok=True)
    selector = ChannelSelector(
        net,
        target,
        draw_batches(cfg, editor, num_batches, seed) if needs_data else (),
        lambda batch: training_loss(editor, batch),
        criterion=criterion,
        lr=lr,
        channels_per_step=channels_per_step,
        seed=seed,
        depends_on={
            "the model of the config": model,
            "weights of the editor (dual networks, teacher)": editor,
            "version of mmsrnas": mmsrnas.__version__,
        },
    )
    kept = selector.run(work_dir / "selection.pth")
    before = _count(net)
    remove_channels(net, selector.sites, kept)
    origin = provenance(cfg.filename, seed, None)
    origin |= {"checkpoint": str(checkpoint), "criterion": criterion}
    if is_main_process():
        target.save(work_dir / "genotype.json", origin)
        save_pruned(editor, model, target, work_dir / "pruned.pth")
    params, multi_adds = zip(before, _count(net), strict=True)
    return Pruned(target, params, multi_adds, work_dir / "pruned.pth", work_dir / "genotype.json")


def training_loss(editor: Any, batch: Mapping[str, Any]) -> Tensor:
    """The loss that an editor trains with, on the value range of its generator.

    The selection adds errors of features, which are on the range that the network works on.

    Args:
        editor: The editor.
        batch: What its ``data_preprocessor`` gives in training.

    Returns:
        Scalar loss.
    """
    loss = editor.parse_losses(editor(**batch, mode="loss"))[0]
    return getattr(editor.generator, "img_range", 1.0) * loss


def _check_arguments(
    genotype: object,
    uniform: float | None,
    random: float | None,
    num_batches: int,
    channels_per_step: int,
) -> None:
    if sum(value is not None for value in (genotype, uniform, random)) != 1:
        raise ValueError("expected one of 'genotype', 'uniform' and 'random'.")
    for name, share in (("uniform", uniform), ("random", random)):
        if share is not None and not 0 < share <= 1:
            raise ValueError(f"{name}: expected a share of the full cost in (0, 1], got {share}.")
    for name, number in (("num_batches", num_batches), ("channels_per_step", channels_per_step)):
        if number < 1:
            raise ValueError(f"{name}: expected at least 1, got {number}.")


def _is_search(generator: dict) -> bool:
    return MODELS.get(generator["type"]) is ChannelNumberSearch


def training_model(cfg: Config) -> dict[str, Any]:
    """The editor of a training, whose weights come from the checkpoint."""
    model = cfg.model.to_dict()
    if _is_search(model["generator"]):
        model["generator"] = model["generator"]["generator"]
    model.pop("pretrained", None)
    return model


def part_of(cfg: Config) -> str:
    """Where the weights of the network are in the checkpoint."""
    return "generator.generator" if _is_search(cfg.model.generator) else "generator"


def load_editor(model: dict[str, Any], part: str, checkpoint: str) -> Any:
    """The editor with the trained weights of all of its networks, frozen."""
    editor = MODELS.build(copy.deepcopy(model))
    trained = read_checkpoint(checkpoint)
    trained.load_into(editor.generator, EMA if getattr(editor, "is_use_ema", False) else part)
    if hasattr(editor, "dual_networks"):
        trained.load_into(editor.dual_networks, "dual_networks")
    if getattr(editor, "distillation", None):
        editor.distillation.load_teacher()
    return editor.requires_grad_(False).eval()


def draw_batches(cfg: Config, editor: Any, count: int, seed: int) -> list[dict[str, Any]]:
    """Batches of the training data as the editor takes them; the same for the same seed."""
    set_random_seed(seed)
    dataloader = Runner.build_dataloader(cfg.train_dataloader, seed=seed)
    batches = islice(BatchStream(dataloader, seed, shared=True), count)
    batches = [editor.data_preprocessor(batch, True) for batch in batches]
    _check_sizes(editor.generator, batches[0])
    return batches


def _check_sizes(net: nn.Module, batch: Mapping[str, Any]) -> None:
    """Refuses training data of other channels or another scale than the network's."""
    size = tuple(batch["inputs"].shape[1:])
    if size[0] != (channels := in_channels_of(net)):
        raise ValueError(
            f"train_dataloader: the images have {size[0]} channels; {type(net).__name__} reads "
            f"{channels}. Change 'color_type' where they are loaded."
        )
    made = (output_shape(net, size)[-3:], tuple(batch["data_samples"].gt_img.shape[-3:]))
    if made[0] != made[1]:
        shapes = ["x".join(map(str, shape)) for shape in (size, *made)]
        raise ValueError(
            f"train_dataloader: of images of {shapes[0]} (C, H, W) {type(net).__name__} makes "
            f"{shapes[1]}, but the ground truth is {shapes[2]}. The scale of the data must be that "
            "of the network."
        )


def _count(net: nn.Module) -> tuple[int, int]:
    """Parameters, and Multi-Adds for 1280x720."""
    return count_params(net), round(Cost("multi_adds")(net))


def save_pruned(
    editor: nn.Module, model: dict[str, Any], genotype: DRCGenotype, file: Path
) -> None:
    """Writes weights, genotype, and the config by which the file alone is enough to run them."""
    parts = ("generator.", "dual_networks.")
    weights = {k: w.cpu() for k, w in editor.state_dict().items() if k.startswith(parts)}
    kind = {"type": PRUNED_NET} if genotype.network == "PrunedNet" else model["generator"]
    pruned = model | {"generator": kind | {"genotype": genotype.to_dict()}}
    meta = {
        "mmsrnas": mmsrnas.__version__,
        "genotype": genotype.to_dict(),
        "cfg": f"default_scope = 'mmagic'\nmodel = {pruned!r}\n",
    }
    with atomic_write(file) as whole:
        torch.save({"state_dict": weights, "meta": meta}, whole)
