"""The contract between searchable models and the engine: typed protocols, nothing else."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from mmsrnas.costs import Cost
from mmsrnas.genotypes import Genotype

__all__ = [
    "ArchitectureReward",
    "ArchitectureSpace",
    "BudgetedSupernet",
    "CollapsibleSupernet",
    "CostedSupernet",
    "DiscreteSupernet",
    "PathSpace",
    "PathSupernet",
    "Policy",
    "PolicySample",
    "PolicySupernet",
    "Preference",
    "RankedSupernet",
    "SandwichSpace",
    "Supernet",
]


@runtime_checkable
class Supernet(Protocol):
    """What is searched: an ``nn.Module`` that trains as the ``generator`` of an editor.

    The protocols below are what it may offer beyond this. A supernet inherits none of them: it has
    the methods, and the engine asks with ``isinstance``.
    """

    def arch_parameters(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        """Yields the architecture parameters with their names in ``named_parameters()``."""
        ...

    def genotype(self) -> Genotype:
        """The genotype that the architecture parameters mean now."""
        ...


@runtime_checkable
class CostedSupernet(Supernet, Protocol):
    """A supernet that knows what its networks cost, for a ``ComplexityLoss``.

    Attributes:
        reference_cost: The cost that a loss without a budget takes as 1, in the unit of
            :meth:`expected_cost`.
    """

    reference_cost: float

    def expected_cost(self) -> Tensor:
        """Cost of the network that the architecture parameters expect now.

        Returns:
            Differentiable scalar in absolute units: a count of Multi-Adds or parameters, or
            milliseconds.
        """
        ...


@runtime_checkable
class BudgetedSupernet(Supernet, Protocol):
    """A supernet whose genotype keeps to a budget, where there is one.

    Its config says it by ``cost`` and ``budget`` or ``budget_share``; a budget out of reach is
    refused when the supernet is built.

    Attributes:
        budget: Upper bound of the cost, in absolute units; None where there is none.
    """

    budget: float | None


@runtime_checkable
class CollapsibleSupernet(Supernet, Protocol):
    """A supernet that notices when its search has gone wrong, for early stopping."""

    def collapse(self) -> str | None:
        """Why the genotype of now is useless, None where it is not."""
        ...


@dataclass(frozen=True)
class Preference:
    """A genotype that a search prefers under a condition.

    Attributes:
        genotype: The genotype.
        loss: How much less the search likes it than its favourite, in nats; 0 for the favourite.
    """

    genotype: Any
    loss: float


@runtime_checkable
class RankedSupernet(Supernet, Protocol):
    """A supernet whose search has an opinion on more than one architecture."""

    def preferred(
        self, cost: Cost, budget: float, least: float = 0.0, mid_channels: int | None = None
    ) -> Preference:
        """The genotype that the search prefers among those within a budget.

        Args:
            cost: The cost.
            budget: The most that a network may cost, absolute.
            least: Genotypes that cost at least so much are taken where there are any.
            mid_channels: Width of the network instead of the search's; not for methods that search
                the widths themselves.

        Raises:
            BudgetError: All networks of this width cost more.
        """
        ...

    def build_network(self, genotype: Any) -> torch.nn.Module:
        """The network of a genotype, freshly initialised."""
        ...


@runtime_checkable
class DiscreteSupernet(Supernet, Protocol):
    """A supernet that can run what it would derive now, with its own weights.

    Attributes:
        discrete: Whether it does; False in training.
    """

    discrete: bool


@dataclass(frozen=True)
class PolicySample:
    """Decisions of a policy for ``N`` architectures, in ``P`` parts of ``T`` tokens together.

    Attributes:
        tokens: One row of tokens per architecture ``(N, T)``.
        log_probs: Log-probability of each part ``(N, P)``, differentiable.
        entropies: Entropy of each part ``(N, P)`` in nats, differentiable: the sum over its
            decisions, each in the state that its predecessors led to.
    """

    tokens: Tensor
    log_probs: Tensor
    entropies: Tensor


class ArchitectureSpace(Protocol):
    """All architectures of a search, as rows of tokens."""

    def random(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Random rows of tokens ``(count, T)``, on the CPU."""
        ...

    def decode(self, tokens: Sequence[int] | Tensor) -> Genotype:
        """The genotype of one row of tokens."""
        ...

    def encode(self, genotype: Any) -> list[int]:
        """The tokens of a genotype of this space."""
        ...

    def max_entropy(self) -> float:
        """The largest entropy that a policy over this space can have, in nats."""
        ...


class Policy(Protocol):
    """A distribution over a space; an ``nn.Module`` whose parameters are the architecture's.

    Attributes:
        baseline: Buffer with the moving average of the rewards, a scalar, NaN before the first.
        part_weights: Weights of the ``P`` parts of a sample in the loss.
    """

    baseline: Tensor
    part_weights: tuple[float, ...]

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """The architecture parameters."""
        ...

    def buffers(self) -> Iterator[Tensor]:
        """The buffers, :attr:`baseline` among them."""
        ...

    def sample(self, count: int, generator: torch.Generator | None = None) -> PolicySample:
        """Samples architectures; the same generator gives the same on every device."""
        ...


class ArchitectureReward(Protocol):
    """The reward of architectures that were scored on the same images.

    Attributes:
        min_samples: Architectures that one call needs at least.
    """

    min_samples: int

    @property
    def mean_cost(self) -> float:
        """Mean cost of random architectures."""
        ...

    def psnr(self, prediction: Tensor, target: Tensor) -> Tensor:
        """PSNR in dB, a scalar, of a batch ``(N, C, H, W)`` in [0, 255]."""
        ...

    def bicubic_psnr(self, lr: Tensor, target: Tensor) -> Tensor:
        """PSNR in dB, a scalar, of interpolated LR images ``(N, C, h, w)`` in [0, 255]."""
        ...

    def cost(self, architecture: Any, /) -> float:
        """The cost of an architecture in absolute units."""
        ...

    def update_psnr_std(self, psnr: Tensor) -> None:
        """Learns the spread of PSNR in dB from that of random architectures ``(N,)``."""
        ...

    def __call__(
        self,
        psnr: Tensor,
        architectures: Sequence[Any],
        reference: Tensor | None = None,
        psnr_std: Tensor | None = None,
    ) -> Tensor:
        """The rewards ``(N,)``.

        Args:
            psnr: PSNR in dB of each architecture ``(N,)``.
            architectures: The architectures.
            reference: PSNR in dB that each is compared with, a scalar; that of the others where
                it is None.
            psnr_std: Spread of PSNR in dB, a scalar; the one that was learned where it is None.

        Raises:
            FloatingPointError: A reward is not finite.
        """
        ...


@runtime_checkable
class PolicySupernet(Supernet, Protocol):
    """A supernet that runs one architecture at a time, chosen by a policy.

    ``RLSearchLoop`` searches any of them. The policy's parameters are its ``arch_parameters()``.
    """

    space: ArchitectureSpace
    if TYPE_CHECKING:  # from Python 3.12 on, `isinstance` would not find a submodule
        policy: Policy

    def arch_parameters(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        """Yields the parameters of the policy with their names."""
        ...

    def genotype(self) -> Genotype:
        """The architecture that the policy finds most likely."""
        ...

    def __call__(self, x: Tensor, architecture: Any = None) -> Tensor:
        """Runs an architecture, that of :meth:`genotype` where it is None."""
        ...

    def build_reward(self, **kwargs: Any) -> ArchitectureReward:
        """The reward of a search, from the entries of ``train_cfg.reward``."""
        ...

    def batch_statistics(self) -> AbstractContextManager[None]:
        """Inside, normalisation uses the statistics of the batch and changes nothing."""
        ...

    def calibrate(self, architecture: Any, batches: Iterable[Tensor]) -> None:
        """Replaces running statistics by those of an architecture on batches ``(N, C, H, W)``."""
        ...


class PathSpace(ArchitectureSpace, Protocol):
    """A space whose networks are trained one by one with shared weights.

    Attributes:
        sizes: Number of values of every token.
    """

    sizes: tuple[int, ...]

    def batch(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Random architectures ``(count, T)`` for one step, each value as often, on the CPU."""
        ...

    def cover(self) -> Iterator[Genotype]:
        """A few genotypes whose networks together have all shared weights."""
        ...

    def size(self) -> int:
        """Number of genotypes."""
        ...

    def all(self) -> Iterator[Genotype]:
        """Every genotype, once."""
        ...


@runtime_checkable
class SandwichSpace(PathSpace, Protocol):
    """A space whose networks have an order of size."""

    def sandwich(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """The largest, the smallest and random architectures ``(2 + count, T)``, on the CPU."""
        ...


@runtime_checkable
class PathSupernet(RankedSupernet, Protocol):
    """A supernet that runs one network at a time, which is taken out with the shared weights.

    :class:`~mmsrnas.models.editors.PathEditor` trains any of them, and
    :class:`~mmsrnas.models.editors.SandwichEditor` those whose space has an order of size.
    """

    space: PathSpace

    def __call__(self, x: Tensor, architecture: Any = None) -> Tensor:
        """Runs an architecture, that of :meth:`genotype` where it is None."""
        ...

    def rank(self, genotypes: Sequence[Any]) -> None:
        """Remembers genotypes, the best first, as what :meth:`preferred` chooses from."""
        ...

    def extract(self, genotype: Any) -> torch.nn.Module:
        """The network of a genotype with the shared weights."""
        ...

    def genotype_cost(self, cost: Cost) -> Callable[[Any], float]:
        """The cost of genotypes, faster than by building each network."""
        ...
