"""Which channels remain: greedy selection by dual regression, or by simpler criteria."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce, broadcast, get_dist_info, is_main_process
from mmengine.logging import print_log
from torch import Tensor, nn

from mmsrnas.compat import load_tensors
from mmsrnas.files import atomic_write
from mmsrnas.genotypes import DRCGenotype

from .fingerprint import fingerprint
from .groups import ChannelGroup, find_sites
from .upstream_cache import UpstreamCache

__all__ = ["CRITERIA", "ChannelSelector"]

CRITERIA = ("dual_regression", "l1", "random")

Batch = Mapping[str, Any]


class ChannelSelector:
    """Selection of the channels that remain at every site, one site after the other.

    ``dual_regression`` (arXiv 2207.07929, algorithm 2) empties the second convolution of a site
    and gives it back, one after the other, the channels whose weights have the largest gradient of

        ``L = MSE(output of the convolution, output in the full network) + L_primal + L_dual``

    at zero. Each starts from its old weights, and one pass of SGD over the data fits what is
    selected so far. Sites that are done stay as they are. ``l1`` keeps the channels with the
    largest kernels, ``random`` any; both leave the weights alone and need no data.

    What does not depend on the convolution is computed once for each site and batch. Several
    processes of ``torch.distributed`` share the batches of a gradient; the steps of the fit, each
    of which needs the one before it, are taken by all. The channels are those of one process.

    Args:
        net: The full network, changed in place: dropped channels are zero in the end.
        genotype: Its widths.
        batches: Batches with the LR images as ``inputs``, the same in every process.
        objective: ``L_primal + L_dual`` of a batch; has to run ``net``.
        criterion: ``'dual_regression'``, ``'l1'`` or ``'random'``.
        lr: Learning rate of SGD, with Nesterov momentum 0.9.
        channels_per_step: Channels that are selected by one gradient; the paper's 1 is slowest.
        seed: Seed of ``'random'``.
        cache: Set to False to compute everything in every pass.
        depends_on: What else ``objective`` depends on, by name: configs, weights, modules. A state
            file is continued only where all of it is the same.

    Raises:
        ValueError: Unknown ``criterion``, or no batches for ``'dual_regression'``.
        GenotypeError: The genotype does not fit the network.
    """

    def __init__(
        self,
        net: nn.Module,
        genotype: DRCGenotype,
        batches: Sequence[Batch] = (),
        objective: Callable[[Batch], Tensor] | None = None,
        criterion: str = "dual_regression",
        lr: float = 5e-5,
        channels_per_step: int = 1,
        seed: int = 0,
        cache: bool = True,
        depends_on: Mapping[str, Any] | None = None,
    ) -> None:
        if criterion not in CRITERIA:
            raise ValueError(f"criterion: expected one of {CRITERIA}, got {criterion!r}.")
        if criterion == "dual_regression" and not (batches and objective):
            raise ValueError("criterion 'dual_regression' needs batches and an objective.")
        self.net = net
        self.sites = find_sites(net)
        genotype.check_fits(type(net).__name__, tuple(site.width for site in self.sites))
        self.genotype = genotype
        self.batches = batches
        self.objective: Any = objective
        self.criterion = criterion
        self.lr = lr
        self.channels_per_step = channels_per_step
        self.seed = seed
        self.cache = cache
        self.original = copy.deepcopy(net)
        self.kept: list[Tensor] = []
        self.job = {
            "weights of the network": fingerprint(net),
            "genotype": fingerprint(genotype.to_dict()),
            "criterion": fingerprint(criterion),
            "lr": fingerprint(lr),
            "channels_per_step": fingerprint(channels_per_step),
            "seed": fingerprint(seed),
            "cache": fingerprint(cache),
            "batches of the training data": fingerprint(batches),
            **{name: fingerprint(value) for name, value in (depends_on or {}).items()},
        }

    def run(self, state_file: str | Path | None = None) -> list[Tensor]:
        """Selects at all sites.

        Args:
            state_file: Where to keep what is done after each site, which the first process writes.
                An existing file of the same job is continued from, by any number of processes.

        Returns:
            For each site the indices of the channels that remain, ascending.

        Raises:
            ValueError: ``state_file`` belongs to another job, or is damaged.
            FloatingPointError: The loss is not finite.
        """
        if state_file and Path(state_file).is_file():
            self._restore(Path(state_file))
        training = self.net.training
        with _frozen(self.net), _frozen(self.original):
            for index in range(len(self.kept), len(self.sites)):
                site, width = self.sites[index], self.genotype.widths[index]
                self.kept.append(self._select(index, width))
                print_log(
                    f"Site {index + 1} of {len(self.sites)}, {site.consumer}: "
                    f"{width} of {site.width} channels remain.",
                    logger="current",
                )
                if state_file and is_main_process():
                    self._save(Path(state_file))
        self.net.train(training)
        return self.kept

    def _select(self, index: int, width: int) -> Tensor:
        site = self.sites[index]
        conv = cast(nn.Conv2d, self.net.get_submodule(site.consumer))
        if width == site.width:
            return torch.arange(width)
        if self.criterion == "random":
            generator = torch.Generator().manual_seed(self.seed * 10_007 + index)
            kept = torch.randperm(site.width, generator=generator)[:width]
        elif self.criterion == "l1":
            kept = conv.weight.abs().sum(dim=(0, 2, 3)).topk(width).indices.cpu()
        else:
            mask = self.select_greedily(site, width)
            return mask.nonzero().flatten().cpu()
        mask = torch.zeros(site.width, device=conv.weight.device)
        mask[kept] = 1
        with torch.no_grad():
            conv.weight.mul_(mask[:, None, None])
        return kept.sort().values

    def select_greedily(
        self, site: ChannelGroup, width: int, note: Callable[..., None] | None = None
    ) -> Tensor:
        """Selects at one site by dual regression and fits the weights there.

        Args:
            site: The site; the network must be frozen and in evaluation mode.
            width: Number of channels to keep.
            note: Called with ``score`` and ``mask`` after each step.

        Returns:
            Mask ``(C,)`` of the selected channels.

        Raises:
            FloatingPointError: A score is not finite.
        """
        conv = cast(nn.Conv2d, self.net.get_submodule(site.consumer))
        pretrained = conv.weight.detach().clone()
        mask = torch.zeros(site.width, dtype=torch.bool, device=pretrained.device)
        trained = [conv.weight] if conv.bias is None else [conv.weight, conv.bias]
        losses = self._losses(site)
        with torch.no_grad():
            conv.weight.zero_()
        for param in trained:
            param.requires_grad_(True)
        while not mask.all() and mask.sum() < width:
            score = _score(conv, losses)
            if not score.isfinite().all():
                raise FloatingPointError(
                    f"The loss or its gradient at '{site.consumer}' is not finite. Check the "
                    f"weights and the images, or lower the learning rate of the fit ({self.lr})."
                )
            free = min(self.channels_per_step, width - int(mask.sum()))
            chosen = score.masked_fill(mask, -torch.inf).topk(free).indices
            mask[chosen] = True
            with torch.no_grad():
                conv.weight[:, chosen] = pretrained[:, chosen]
            _descend(conv, trained, mask, losses, self.lr)
            if note:
                note(score=score, mask=mask.clone())
        for param in trained:
            param.requires_grad_(False)
            param.grad = None
        return mask

    def _losses(self, site: ChannelGroup) -> list[Callable[[], Tensor]]:
        """The loss of a site for each batch, which what precedes the site is remembered for."""
        conv = cast(nn.Conv2d, self.net.get_submodule(site.consumer))
        upstream = UpstreamCache(self.net, site.consumer) if self.cache else None

        def loss(index: int, target: Tensor) -> Tensor:
            memory = upstream.batch(index) if upstream else nullcontext()
            with _keeping_output(conv) as seen, memory:
                value = self.objective(self.batches[index])
            return F.mse_loss(seen["output"], target) + value

        targets = [_output(self.original, site.consumer, b["inputs"]) for b in self.batches]
        return [partial(loss, index, target) for index, target in enumerate(targets)]

    def _save(self, path: Path) -> None:
        state = {"job": self.job, "kept": self.kept, "net": self.net.state_dict()}
        with atomic_write(path) as whole:
            torch.save(state, whole)

    def _restore(self, path: Path) -> None:
        try:
            state: Any = load_tensors(path)
            job, kept, weights = state["job"], state["kept"], state["net"]
        except Exception as error:
            raise ValueError(
                f"'{path}' is no state of a channel selection ({type(error).__name__}: {error}). "
                "Delete it to select anew, or choose another --work-dir."
            ) from None
        different = [name for name in job | self.job if job.get(name) != self.job.get(name)]
        if different:
            raise ValueError(
                f"'{path}' belongs to another job: {', '.join(different)} differ. Continue with "
                "the same options, data and networks, delete the file, or choose another "
                "--work-dir."
            )
        self.net.load_state_dict(weights)
        self.kept = kept


def _score(conv: nn.Conv2d, losses: Sequence[Callable[[], Tensor]]) -> Tensor:
    """Sum over the outputs of the norm of each input channel's gradient ``(C,)``."""
    rank, processes = get_dist_info()
    conv.weight.grad = torch.zeros_like(conv.weight)
    for loss in losses[rank::processes]:
        loss().backward()
    all_reduce(conv.weight.grad)
    return conv.weight.grad.flatten(2).norm(dim=2).sum(dim=0)


def _descend(
    conv: nn.Conv2d,
    params: Sequence[Tensor],
    mask: Tensor,
    losses: Sequence[Callable[[], Tensor]],
    lr: float,
) -> None:
    """One pass of SGD; channels outside of the mask stay at zero."""
    sgd = torch.optim.SGD(params, lr=lr, momentum=0.9, nesterov=True)
    for loss in losses:
        sgd.zero_grad()
        loss().backward()
        cast(Tensor, conv.weight.grad).mul_(mask[:, None, None])
        sgd.step()
    for param in params:  # kernels of a GPU may differ in their last bits
        broadcast(param.data)


@torch.no_grad()
def _output(net: nn.Module, module: str, images: Tensor) -> Tensor:
    with _keeping_output(net.get_submodule(module)) as seen:
        net(images)
    return seen["output"]


@contextmanager
def _keeping_output(module: nn.Module) -> Iterator[dict[str, Tensor]]:
    seen: dict[str, Tensor] = {}

    def note(module: nn.Module, inputs: Any, output: Tensor) -> None:
        seen["output"] = output

    handle = module.register_forward_hook(note)
    try:
        yield seen
    finally:
        handle.remove()


@contextmanager
def _frozen(net: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients to the weights."""
    trained = [param for param in net.parameters() if param.requires_grad]
    net.eval().requires_grad_(False)
    try:
        yield
    finally:
        for param in trained:
            param.requires_grad_(True)
