"""The second round of a selection: the best networks, each trained alone for some steps."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import torch
from mmengine.runner import Runner
from torch import Tensor, nn

from mmsrnas.engine.batches import BatchStream
from mmsrnas.genotypes import DLSRGenotype, Genotype, HiNASGenotype
from mmsrnas.models import init_unit_variance

from .front_selection import inherited_psnr

__all__ = ["FINALISTS", "final_round", "varied"]

FINALISTS = 8
PER_KIND = 2
"""Finalists of one kind."""
LR, MAX_NORM = 2e-3, 0.02


def varied(ranked: Sequence[Genotype]) -> list[Genotype]:
    """Leaves out networks of a kind that two better ones have already.

    Shared weights prefer some operations of DLSR, and some paths of HiNAS, to others: without it,
    one set of operations in all orders, or one path, would fill the final.

    Args:
        ranked: Genotypes, the best first.
    """
    kinds: Counter[Any] = Counter()
    found = []
    for genotype in ranked:
        kind = _kind(genotype)
        kinds[kind] += 1
        if kinds[kind] <= PER_KIND:
            found.append(genotype)
    return found


def _kind(genotype: Genotype) -> Any:
    """The operations of a network of DLSR, the path of one of HiNAS; others have no kinds."""
    if isinstance(genotype, DLSRGenotype):
        return tuple(sorted(genotype.ops))
    return genotype.path if isinstance(genotype, HiNASGenotype) else genotype


def final_round(
    editor: nn.Module,
    dataloader: Mapping[str, Any],
    images: Sequence[tuple[Tensor, Tensor]],
    finalists: Sequence[Genotype],
    steps: int,
) -> dict[Genotype, float]:
    """Trains networks from scratch for some steps, all on the same batches, and judges them.

    Args:
        editor: Editor of the search: its generator builds the networks.
        dataloader: Config of the dataloader of training images.
        images: Held-out images, see :func:`~mmsrnas.analysis.front_selection.held_out_images`.
        finalists: The networks.
        steps: Number of batches, which are kept in memory.

    Returns:
        PSNR in dB of each, the best first.

    Raises:
        ValueError: There is no training image.
    """
    parts: Any = editor
    loader = Runner.build_dataloader(dict(dataloader), seed=0)
    data = (parts.data_preprocessor(b, True) for b in islice(BatchStream(loader, seed=0), steps))
    batches = [(batch["inputs"], batch["data_samples"].gt_img) for batch in data]
    found = {}
    for genotype in finalists:
        network = parts.generator.build_network(genotype).to(images[0][0].device)
        _train(network, batches, parts.pixel_loss)
        found[genotype] = inherited_psnr(network.eval(), images)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _train(network: nn.Module, batches: Sequence[tuple[Tensor, Tensor]], loss: nn.Module) -> None:
    """Adam with a rise and a cosine from features of unit variance."""
    init_unit_variance(network, batches[0][0])
    weights = [weight for weight in network.train().parameters() if weight.requires_grad]
    optimizer = torch.optim.Adam(weights, LR, eps=1e-8 / 255)
    rise = max(1, len(batches) // 5)
    schedules = [
        torch.optim.lr_scheduler.LinearLR(optimizer, 1 / rise, total_iters=rise),
        torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(batches)),
    ]
    schedule = torch.optim.lr_scheduler.ChainedScheduler(schedules)
    for lr, hr in batches:
        optimizer.zero_grad()
        loss(network(lr), hr).backward()
        nn.utils.clip_grad_norm_(weights, MAX_NORM)
        optimizer.step()
        schedule.step()
