"""Networks that share weights and run one at a time: a path through a supernet each."""

import copy
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmsrnas.costs import BudgetError, Cost
from mmsrnas.genotypes import GenotypeError
from mmsrnas.registry import MODELS, TASK_UTILS

from .supernet import Preference

__all__ = ["RankedPaths", "SharedSupernet", "TokenSpace", "check_tokens", "fair_tokens"]

MAX_RANKED = 128
"""Most genotypes that a supernet remembers as its preferences."""
NEAR = 0.88
"""Share of a budget from which on networks are preferred by their quality alone."""
T = TypeVar("T")


def fair_tokens(
    sizes: Sequence[int], count: int, generator: torch.Generator | None = None
) -> Tensor:
    """Random rows of tokens ``(count, T)`` that have every value of a token equally often.

    Among as many rows as a token has values, each value is there once (FairNAS, arXiv 1907.01845);
    every row on its own is uniform.

    Args:
        sizes: Number of values of every token.
        count: Number of rows.
        generator: Source of randomness.
    """
    columns = []
    for size in sizes:
        rounds = -(-count // size)
        drawn = [torch.randperm(size, generator=generator) for _ in range(rounds)]
        columns.append(torch.cat(drawn)[:count])
    return torch.stack(columns, dim=1)


def check_tokens(tokens: Sequence[int] | Tensor, sizes: Sequence[int], kind: str) -> list[int]:
    """The tokens as integers.

    Args:
        tokens: The tokens.
        sizes: Number of values of every token.
        kind: What they are tokens of, with its article, for the error.

    Raises:
        GenotypeError: A wrong number of tokens, or a token out of its range.
    """
    found = [int(token) for token in tokens]
    if len(found) != len(sizes):
        raise GenotypeError(f"tokens of {kind}: expected {len(sizes)}, got {len(found)}.")
    for index, (token, size) in enumerate(zip(found, sizes, strict=True)):
        if not 0 <= token < size:
            raise GenotypeError(
                f"tokens of {kind}, token {index}: expected 0..{size - 1}, got {token}."
            )
    return found


class TokenSpace:
    """What the spaces have in common whose tokens are drawn one by one.

    Attributes:
        sizes: Number of values of every token.
    """

    sizes: tuple[int, ...]
    decode: Callable[[Sequence[int] | Tensor], Any]
    encode: Callable[[Any], list[int]]

    def max_entropy(self) -> float:
        """Entropy of the uniform distribution over all rows of tokens, in nats."""
        return math.fsum(map(math.log, self.sizes))

    def random(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Random rows of tokens ``(count, T)``, every choice uniform."""
        columns = [torch.randint(size, (count,), generator=generator) for size in self.sizes]
        return torch.stack(columns, dim=1)

    def batch(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Random rows of tokens ``(count, T)`` for one step, see :func:`fair_tokens`."""
        return fair_tokens(self.sizes, count, generator)

    def all(self) -> Iterator[Any]:
        """Every genotype, once."""
        for tokens in itertools.product(*map(range, self.sizes)):
            genotype = self.decode(tokens)
            if self.encode(genotype) == list(tokens):
                yield genotype


class RankedPaths(BaseModule):
    """What supernets have in common whose architectures are drawn, and judged afterwards.

    Args:
        space: The search space, a :class:`~mmsrnas.models.supernet.PathSpace`.
        init_cfg: Initialisation config of mmengine.

    Attributes:
        space: The search space.
        ranking: Tokens of the preferred genotypes ``(128, T)``, the best first; -1 where there
            are less. A selection fills it, checkpoints keep it.
    """

    ranking: Tensor

    def __init__(self, space: Any, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.space = space
        self.register_buffer("ranking", torch.full((MAX_RANKED, len(space.sizes)), -1))

    def arch_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yields nothing: architectures are sampled, not learned."""
        yield from ()

    def genotype(self) -> Any:
        """The preferred genotype; the first of the space's cover before a selection."""
        return self.ranked()[0]

    def ranked(self) -> list[Any]:
        """The genotypes of the ranking, the best first; a single one before a selection."""
        rows = [row for row in self.ranking.tolist() if row[0] >= 0]
        return [self.space.decode(row) for row in rows] or [next(iter(self.space.cover()))]

    @torch.no_grad()
    def rank(self, genotypes: Sequence[Any]) -> None:
        """Remembers genotypes as preferences, the best first; at most 128 of them."""
        self.ranking.fill_(-1)
        for row, genotype in zip(self.ranking, genotypes, strict=False):
            row.copy_(torch.tensor(self.space.encode(genotype)))

    def preferred(
        self, cost: Cost, budget: float, least: float = 0.0, mid_channels: int | None = None
    ) -> Preference:
        """The best genotype of the ranking within a budget.

        See :meth:`~mmsrnas.models.supernet.RankedSupernet.preferred`.
        """
        ranked = self.ranked()
        if mid_channels:
            if not hasattr(ranked[0], "mid_channels"):
                raise ValueError("mid_channels: the widths are part of this search.")
            ranked = [genotype.replace(mid_channels=mid_channels) for genotype in ranked]
        costs = dict(zip(ranked, map(self.genotype_cost(cost), ranked), strict=True))
        within = [genotype for genotype in ranked if costs[genotype] <= budget]
        if not within:
            cheapest = f"the cheapest of {len(ranked)} networks of the ranking"
            raise BudgetError(budget, min(costs.values()), cost.unit, cheapest)
        # A short training underrates large networks: those that use the budget are compared.
        least = max(least, NEAR * budget)
        dear = [genotype for genotype in within if costs[genotype] >= least]
        return Preference((dear or within)[0], 0.0)

    def build_network(self, genotype: Any) -> nn.Module:
        """The network of a genotype, freshly initialised."""
        return MODELS.build(dict(type=f"mmsrnas.{genotype.network}", genotype=genotype))

    def genotype_cost(self, cost: Cost) -> Callable[[Any], float]:
        """The cost of genotypes, each exported once."""
        return lambda genotype: cost.of((self, genotype), lambda: self.build_network(genotype))


@MODELS.register_module()
class SharedSupernet(RankedPaths):
    """The networks of any space, put together from shared modules.

    The space says which modules of a network depend on its genotype, and under which names their
    weights are shared (``parts``); all others are shared by all networks that have them. A call
    builds the network of a genotype without weights, puts the shared modules in their places, and
    runs it: what is trained is the derived network itself, and :meth:`extract` gives a copy of it.

    The networks train one after the other (:class:`~mmsrnas.models.editors.PathEditor`). Running
    statistics of batch normalisation are those of many networks; a selection estimates them anew
    for each.

    Args:
        space: The search space, or its config, e.g. ``dict(type='mmsrnas.DLSRSpace')``.
        network: Further arguments of the networks, e.g. ``dict(img_range=1.0)``.
        start: Those that only initial weights depend on, e.g. ``dict(aligned=True)``: a call, which
            takes the weights from the pool, builds its network without.
        init_cfg: Initialisation config of mmengine.

    Attributes:
        pool: The shared modules.

    Raises:
        ValueError: Two networks share a module under a name that has another form in each.
    """

    def __init__(
        self,
        space: Any,
        network: Mapping[str, Any] | None = None,
        start: Mapping[str, Any] | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            TASK_UTILS.build(dict(space)) if isinstance(space, Mapping) else space, init_cfg
        )
        self.network = dict(network or {})
        self.start = dict(start or {})
        self.pool: Any = nn.ModuleDict()
        for genotype in self.space.cover():
            self._add(genotype)
        template: Any = self._assemble(self.genotype())
        self.upscale_factor = template.upscale_factor
        self.in_channels = template.in_channels
        self.min_size = template.min_size

    def forward(self, x: Tensor, architecture: Any = None) -> Tensor:
        """Restores images with one architecture.

        Args:
            x: Images ``(N, in_channels, H, W)`` in [0, 1].
            architecture: The architecture to run; :meth:`genotype` where it is None.

        Returns:
            Images ``(N, in_channels, s * H, s * W)``, not clamped.

        Raises:
            GenotypeError: The architecture is not in the space.
        """
        return self._assemble(architecture or self.genotype())(x)

    def extract(self, genotype: Any) -> Any:
        """The network of a genotype with the shared weights.

        Raises:
            GenotypeError: The genotype is not in the space.
        """
        return copy.deepcopy(self._assemble(genotype))

    def build_network(self, genotype: Any) -> nn.Module:
        """The network of a genotype, freshly initialised."""
        return self._build(genotype, self.start)

    def _build(self, genotype: Any, start: Mapping[str, Any]) -> nn.Module:
        kind = f"mmsrnas.{genotype.network}"
        return MODELS.build(dict(type=kind, genotype=genotype, **self.network, **start))

    def _assemble(self, genotype: Any) -> nn.Module:
        """The network of a genotype with the shared modules themselves in their places."""
        self.space.encode(genotype)  # refuses those of other spaces
        with _no_initial_weights():
            network = self._build(genotype, {})
        for parent, name, key in _places(network, self.space.parts(genotype)):
            parent._modules[name] = self.pool[key]
        # What has no place in the pool, e.g. the mean colour, is made on the CPU.
        return network.to(self.ranking.device).train(self.training)

    def _add(self, genotype: Any) -> None:
        network = self.build_network(genotype)
        for parent, name, key in list(_places(network, self.space.parts(genotype))):
            module = parent.get_submodule(name)
            if key not in self.pool:
                self.pool[key] = module
            elif _form(self.pool[key]) != _form(module):
                raise ValueError(f"{type(self.space).__name__}.parts: {key} has several forms.")


@contextmanager
def _no_initial_weights() -> Iterator[None]:
    """Builds modules whose weights are replaced anyway, in a tenth of the time."""
    kinds: tuple[Any, ...] = (nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase)
    resets = [kind.reset_parameters for kind in kinds]
    for kind in kinds:
        kind.reset_parameters = lambda self: None
    try:
        yield
    finally:
        for kind, reset in zip(kinds, resets, strict=True):
            kind.reset_parameters = reset


def _places(
    network: nn.Module, parts: Mapping[str, str], prefix: str = ""
) -> Iterator[tuple[nn.Module, str, str]]:
    """Where modules with weights stand: the parent, the name in it, and the key of the pool."""
    for name, child in network.named_children():
        path = prefix + name
        if path in parts:
            if next(_tensors(child), None) is not None:
                yield network, name, parts[path].replace(".", "/")
        elif child._parameters or child._buffers:
            yield network, name, path.replace(".", "/")
        else:
            yield from _places(child, parts, f"{path}.")


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    return itertools.chain(module.named_parameters(), module.named_buffers())


def _form(module: nn.Module) -> tuple[str, ...]:
    """What two modules have in common that may share weights."""
    return (repr(module), *(f"{name}{tuple(t.shape)}" for name, t in _tensors(module)))
