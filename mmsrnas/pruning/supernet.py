"""The supernet of DRC: a network whose inner widths are soft."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, cast

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.func import functional_call

from mmsrnas.costs import Cost, absolute_budget
from mmsrnas.genotypes import DRCGenotype
from mmsrnas.models.supernet import Preference
from mmsrnas.registry import MODELS
from mmsrnas.sizes import in_channels_of, min_size_of

from .cost import WidthCost, fit_widths, width_steps
from .groups import find_sites
from .surgery import PrunedNet, full_genotype

__all__ = ["ChannelNumberSearch", "official_candidates"]

VARIANTS = ("default", "official")


@MODELS.register_module()
class ChannelNumberSearch(BaseModule):
    """Search of the number of inner channels of each site (arXiv 2207.07929, section 4).

    Site ``l`` has candidate widths ``n_k`` with probabilities ``softmax(alpha_l)``. Its channels
    are ranked by the L1 norm of what the second convolution does with them, and a channel of rank
    ``r`` counts with ``P(n > r)``, its probability to be kept: one forward pass evaluates the
    mixture of all candidates.

    * ``default``: candidates are the multiples of ``divisor`` up to the full width, and the
      genotype rounds the expected widths so that its cost comes closest to the budget from below.
      A :class:`~mmsrnas.models.losses.ComplexityLoss` in the search takes the budget from here.
    * ``official``: six fractions of at most ``budget_share`` times the full width, equal ones
      merged, and the genotype takes the most probable. Nothing else limits the cost, as in the
      released code.

    Args:
        generator: Config of the network; one with such sites (``DRNNet``, ``EDSRNet``...).
        cost: Unit of :meth:`expected_cost`: ``'multi_adds'`` for an output of 1280x720 pixels,
            ``'params'``, or ``dict(type='latency', target=...)`` for milliseconds
            (:class:`~mmsrnas.costs.Cost`).
        budget: The most that the derived network may cost, in the unit of ``cost``.
        budget_share: In its place, a share of the full network's cost; with ``'official'``, of
            the channels of each site.
        variant: ``'default'`` or ``'official'``.
        divisor: Step of the candidates of ``'default'``.
        init_cfg: Initialisation config of mmengine.

    Attributes:
        cost: Costs of the network as a function of its widths.
        budget: The budget in absolute units; None with ``'official'``.

    Raises:
        ValueError: Unknown ``variant`` or ``cost``, not one of ``budget`` and ``budget_share``, a
            budget out of reach, or a network without sites.
    """

    def __init__(
        self,
        generator: dict,
        cost: str | Mapping[str, Any] = "multi_adds",
        budget: float | None = None,
        budget_share: float | None = None,
        variant: str = "default",
        divisor: int = 4,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if variant not in VARIANTS:
            raise ValueError(f"variant: expected one of {VARIANTS}, got {variant!r}.")
        self.variant = variant
        self.generator = MODELS.build(generator)
        self.full = full_genotype(self.generator, generator)
        self.sites = find_sites(self.generator)
        self.cost = WidthCost(self.generator, self.sites, cost)
        self.budget = self._absolute(budget, budget_share)
        # Sites of the same full width share the candidates, and one parameter.
        self.groups: dict[str, list[int]] = {}
        for index, site in enumerate(self.sites):
            self.groups.setdefault(str(site.width), []).append(index)
        self.candidates: dict[str, list[int]] = {}
        self.alpha = nn.ParameterDict()
        for key, members in self.groups.items():
            if variant == "official":
                options = Counter(official_candidates(int(key), cast(float, budget_share)))
            else:
                options = Counter(width_steps(int(key), divisor))
            self.candidates[key] = sorted(options)
            # Merged candidates keep the probability that they had together.
            prior = torch.tensor([math.log(options[n]) for n in self.candidates[key]])
            noise = 1e-3 * torch.randn(len(members), len(options))
            self.alpha[key] = nn.Parameter(prior + noise)
            counts = torch.tensor(self.candidates[key])
            keeps = torch.arange(int(key))[:, None] < counts
            self.register_buffer(f"keeps_{key}", keeps.float(), persistent=False)
            self.register_buffer(f"counts_{key}", counts.float(), persistent=False)
            costs = torch.tensor(
                [self.cost.of(i, self.candidates[key]) for i in members], dtype=torch.double
            )
            self.register_buffer(f"costs_{key}", costs, persistent=False)
        if self.budget is not None:  # out of reach, it is refused before the search
            self.genotype()

    def _absolute(self, budget: float | None, share: float | None) -> float | None:
        """The budget as a cost; None where only the candidates limit it."""
        found = absolute_budget(budget, share, self.cost.unit, self.cost.full)
        if self.variant == "official":
            if share is None:
                raise ValueError(
                    "budget: variant='official' limits the channels of each site; it needs "
                    "'budget_share'."
                )
            return None
        if found is None:
            raise ValueError(
                "budget, budget_share: expected one of them, a number of "
                f"{self.cost.unit} or a share of the full network's {self.cost.full():g}."
            )
        return found

    def _options(self, site: int) -> list[int]:
        return self.candidates[str(self.sites[site].width)]

    @property
    def upscale_factor(self) -> int | None:
        """Ratio of HR to LR size, where the network says it."""
        return getattr(self.generator, "upscale_factor", None)

    @property
    def in_channels(self) -> int:
        """Channels of the images."""
        return in_channels_of(self.generator)

    @property
    def min_size(self) -> int:
        """Smallest height and width of an LR image."""
        return min_size_of(self.generator)

    @property
    def img_range(self) -> float:
        """The value that the network sees for 1.0 of the input."""
        return getattr(self.generator, "img_range", 1.0)

    def arch_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yields the alphas ``(sites, candidates)``, one for each full width."""
        yield from ((f"alpha.{key}", alpha) for key, alpha in self.alpha.items())

    def channel_weights(self) -> list[Tensor]:
        """Weight in [0, 1] of each inner channel ``(width,)`` of every site."""
        weights: list[Any] = [None] * len(self.sites)
        for key, members in self.groups.items():
            by_rank = self.alpha[key].softmax(dim=1) @ self.get_buffer(f"keeps_{key}").T
            by_channel = by_rank.gather(1, self._ranks(members))
            for member, row in zip(members, by_channel, strict=True):
                weights[member] = row
        return weights

    @torch.no_grad()
    def _ranks(self, members: list[int]) -> Tensor:
        """Rank of every channel by L1 norm, 0 for the largest, ``(sites, width)``."""
        norms = torch.stack(
            [self._kernel(i).abs().sum(dim=(0, 2, 3), dtype=torch.double) for i in members]
        )
        order = norms.argsort(dim=1, descending=True, stable=True)
        return order.argsort(dim=1)

    def _kernel(self, site: int) -> Tensor:
        return self.generator.get_submodule(self.sites[site].consumer).weight

    def forward(self, x: Tensor, **kwargs: Any) -> Tensor | list[Tensor]:
        """Runs the network with soft widths.

        Args:
            x: LR images ``(N, C, H, W)``.
            kwargs: Further arguments of the network.

        Returns:
            What the network returns.
        """
        kernels = {
            f"{site.consumer}.weight": self._kernel(i) * weight[:, None, None]
            for i, (site, weight) in enumerate(zip(self.sites, self.channel_weights(), strict=True))
        }
        return functional_call(self.generator, kernels, (x,), kwargs, tie_weights=False)

    def expected_widths(self) -> Tensor:
        """Expected inner width of each site ``(L,)``."""
        widths: list[Any] = [None] * len(self.sites)
        for key, members in self.groups.items():
            rows = self.alpha[key].softmax(dim=1) @ self.get_buffer(f"counts_{key}")
            for member, width in zip(members, rows, strict=True):
                widths[member] = width
        return torch.stack(widths)

    @property
    def reference_cost(self) -> float:
        """Cost of the full network."""
        return self.cost.full()

    def expected_cost(self) -> Tensor:
        """Expected cost of the network, differentiable, in the unit of ``cost``.

        Every width counts with the cost of its own: that of counts is the cost at the expected
        widths, latency has steps.
        """
        searched = [
            (self.alpha[key].softmax(dim=1).double() * self.get_buffer(f"costs_{key}")).sum()
            for key in self.groups
        ]
        return self.cost.fixed + torch.stack(searched).sum()

    @torch.no_grad()
    def genotype(self) -> DRCGenotype:
        """Decodes alpha, by the most probable candidates or within the budget."""
        if self.variant == "official":
            widths = [0] * len(self.sites)
            for key, members in self.groups.items():
                for member, best in zip(members, self.alpha[key].argmax(dim=1), strict=True):
                    widths[member] = self.candidates[key][best]
            return self.full.replace(widths=tuple(widths))
        return self._fitted(self.cost, cast(float, self.budget))

    @staticmethod
    def build_network(genotype: DRCGenotype) -> nn.Module:
        """The network of a genotype, freshly initialised."""
        return PrunedNet(genotype)

    @torch.no_grad()
    def preferred(
        self, cost: Cost, budget: float, least: float = 0.0, mid_channels: int | None = None
    ) -> Preference:
        """The expected widths rounded within a budget, see :func:`fit_widths`.

        See :meth:`~mmsrnas.models.supernet.RankedSupernet.preferred`; within 2 % of the budget
        where the widths allow it, whatever ``least`` is.
        """
        if mid_channels:
            raise ValueError("mid_channels: the widths are what this search decides.")
        built = cost.once(self.full, lambda: WidthCost(self.generator, self.sites, cost))
        return Preference(self._fitted(built, budget), 0.0)

    def _fitted(self, cost: WidthCost, budget: float) -> DRCGenotype:
        options = [self._options(i) for i in range(len(self.sites))]
        widths = fit_widths(self.expected_widths().cpu(), options, cost, budget)
        return self.full.replace(widths=widths)


def official_candidates(width: int, budget_share: float) -> list[int]:
    """The six candidate widths of the released code, with repetitions.

    Args:
        width: Full width.
        budget_share: Share of the channels that the widest candidate may keep, 0.7, 0.5 or 0.3
            in the released code.

    Returns:
        Multiples of four, ascending.
    """
    sizes = [int(width * budget_share * share) for share in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)]
    # A remainder of three rounds up, one and two round down.
    return [min(max((size + 1) // 4 * 4, 4), width) for size in sizes]
