"""The supernet of HiNAS: all cells at all widths at once, weighted by alpha and beta."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from mmsrnas.costs import Cost, absolute_budget, build_cost
from mmsrnas.genotypes import HINAS_OPS, HiNASGenotype
from mmsrnas.models.supernet import Preference
from mmsrnas.registry import MODELS

from .constrained import Constrained
from .cost import HiNASCost
from .decoding import (
    Trellis,
    best_path,
    decode_cell,
    num_edges,
    one_hot_cell,
)
from .modules import ASPP, STEM_CHANNELS, HiNASBase, MixedCell, Router, conv_norm
from .network import HiNASNet
from .ops import build_activation

__all__ = ["HiNASSupernet"]

ASPP_RATE = 16
ALPHA_SCOPES = ("network", "layer", "cell")


@MODELS.register_module()
class HiNASSupernet(HiNASBase):
    """Relaxed search space of HiNAS over cells and widths (arXiv 2012.13212).

    Every layer has a cell per level, and every level a width. A cell reads the features of the
    levels next to its own, weighted by ``beta``; inside, ``alpha`` mixes the operations.

    * ``alpha`` (S, E, 7): a row per edge, for each of the S scopes;
    * ``beta`` (R, 3): a row per layer and level it reads, for the narrower, the same and the wider
      level. Moves that do not exist are masked.

    Args:
        task: ``'denoise'`` or ``'sr'``.
        upscale_factor: Ratio of HR to LR size; 1 for denoising.
        in_channels: Channels of the images, 1 for gray and 3 for colour.
        num_cells: Cells of the derived network, one for each layer of the supernet.
        num_nodes: Nodes of a cell.
        mid_channels: Channels of a node at multiplier 1.
        width_multipliers: Widths of the levels in units of ``mid_channels``; the paper's are
            1, 1.5, 2, those of the earlier CVPR paper 1, 2, 4. The stem is at the first level.
        activation: Activation of the candidates, ``'leaky_relu'``, ``'relu'`` or ``'prelu'``.
        alpha_scope: What shares an alpha: the whole ``'network'``, the cells of a ``'layer'``
            (the paper's layer-wise sharing), or each ``'cell'`` on its own.
        share_cells: Sum up what a level receives and run one cell on it; False runs one cell for
            each level that it receives from.
        variant: ``'default'`` makes the image residual of the derived network; ``'official'`` puts
            a sigmoid behind it, enlarges bilinearly, activates the stem twice, and starts alpha
            and beta from 1 instead of 0, as the released code does.
        cost: Unit of :meth:`expected_cost`: ``'params'``, ``'multi_adds'`` for an output of
            1280x720 pixels, or ``dict(type='latency', target=...)`` for milliseconds
            (:class:`~mmsrnas.costs.Cost`).
        budget: The most that the derived network may cost, in the unit of ``cost``. The genotype
            is then the likeliest path with the likeliest operations within it, and a complexity
            loss penalises the excess.
        budget_share: In its place, a share of the dearest network's cost.
        reference: Evaluate the cells term by term; same results, slower and larger.
        with_cp: Compute the cells again in the backward pass instead of keeping their features.
        init_cfg: Initialisation config of mmengine.

    Attributes:
        discrete: Whether to run only what the genotype keeps, with the weights of the supernet:
            two edges per node, and the levels on the path. The decoder stays the supernet's.
        cost: Costs of the networks in parts.
        budget: The budget in absolute units, None without one.

    Raises:
        GenotypeError: An argument that also stands in the genotype is out of its range.
        ValueError: Another argument is, or the budget is out of reach.
    """

    impossible: Tensor

    def __init__(
        self,
        task: str = "sr",
        upscale_factor: int = 4,
        in_channels: int = 3,
        num_cells: int = 2,
        num_nodes: int = 3,
        mid_channels: int = 8,
        width_multipliers: Sequence[float] = (1, 1.5, 2),
        activation: str = "leaky_relu",
        alpha_scope: str = "layer",
        share_cells: bool = True,
        variant: str = "default",
        cost: str | Mapping[str, Any] = "params",
        budget: float | None = None,
        budget_share: float | None = None,
        reference: bool = False,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        for key, value in (("num_cells", num_cells), ("num_nodes", num_nodes)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{key}: expected an integer of at least 1, got {value!r}.")
        if alpha_scope not in ALPHA_SCOPES:
            raise ValueError(f"alpha_scope: expected one of {ALPHA_SCOPES}, got {alpha_scope!r}.")
        cell = (("skip_connect", 0), ("skip_connect", 1)) * num_nodes
        # What alpha and beta do not decide; building it checks all of these arguments.
        fields: dict[str, Any] = dict(
            cells=(cell,) * num_cells,
            path=(0,) * num_cells,
            mid_channels=mid_channels,
            width_multipliers=tuple(width_multipliers),
            activation=activation,
            task=task,
            upscale_factor=upscale_factor,
            in_channels=in_channels,
            variant=variant,
        )
        template = HiNASGenotype(**fields)
        if len(template.widths) > num_cells + 1:
            raise ValueError(
                f"width_multipliers: {num_cells} cells reach 1 to {num_cells + 1} levels, "
                f"got {len(template.widths)}: {template.width_multipliers}."
            )
        super().__init__(template, init_cfg)
        self.template = template
        self.trellis = Trellis(num_cells, len(template.widths))
        self.alpha_scope = alpha_scope
        self.share_cells = share_cells
        self.reference = reference
        self.discrete = False
        self.cost = HiNASCost.build(build_cost(cost), template)
        self._build_stem()
        self._build_trellis(with_cp)
        self._build_decoder()
        self._init_arch_parameters()
        self.budget = absolute_budget(
            budget, budget_share, self.cost.unit, self._constrained(self.cost).most
        )
        if self.budget is not None:
            self._constrained(self.cost).preferred(self.budget)

    def _build_stem(self) -> None:
        widths = self.template.widths
        self.act = build_activation(self.template.activation)
        self.stem1 = conv_norm(self.in_channels, STEM_CHANNELS, 3, affine=False)
        self.stem2 = conv_norm(STEM_CHANNELS, self._output_channels[0], 3, affine=False)
        self.reduce = conv_norm(STEM_CHANNELS, widths[0], 3, affine=False)
        self.widen = nn.ModuleList(
            conv_norm(narrow, wide, 1, affine=False) for narrow, wide in pairwise(widths)
        )

    def _build_trellis(self, with_cp: bool) -> None:
        template, trellis = self.template, self.trellis
        self.routers: Any = nn.ModuleList()
        self.cells: Any = nn.ModuleList()
        for layer in range(trellis.num_cells):
            targets = [trellis.targets(layer, i) for i in range(trellis.levels[layer])]
            self.routers.append(
                nn.ModuleList(
                    Router(self._output_channels[i], {k: template.widths[k] for k in reached})
                    for i, reached in enumerate(targets)
                )
            )
            cells = {}
            for target in range(trellis.levels[layer + 1]):
                for source in [None] if self.share_cells else trellis.sources(layer, target):
                    cells[self._cell_name(source, target)] = MixedCell(
                        template.widths[target],
                        template.num_nodes,
                        template.activation,
                        self.reference,
                        with_cp,
                    )
            self.cells.append(nn.ModuleDict(cells))

    def _build_decoder(self) -> None:
        activation, branch = self.template.activation, self._output_channels[0]
        fused = self.trellis.num_levels * branch
        self.contexts = nn.ModuleList(
            ASPP(channels, branch, (ASPP_RATE,), activation, affine=False)
            for channels in self._output_channels
        )
        self.decoder = conv_norm(fused, fused, 3, affine=False, activation=activation)
        self.last = self.reconstruction(fused)

    def _init_arch_parameters(self) -> None:
        levels = self.trellis.levels
        scopes = {"network": 1, "layer": self.trellis.num_cells, "cell": sum(levels[1:])}
        edges = num_edges(self.template.num_nodes)
        possible = self.trellis.possible_moves()
        # All choices are equal in both cases, but weight decay pulls ones and leaves zeros.
        start = 1.0 if self.official else 0.0
        self.alpha = nn.Parameter(
            torch.full((scopes[self.alpha_scope], edges, len(HINAS_OPS)), start)
        )
        self.beta = nn.Parameter(torch.full(possible.shape, start))
        self.register_buffer("impossible", ~possible, persistent=False)

    @property
    def _output_channels(self) -> list[int]:
        """Channels of the output of a cell at each level."""
        return [self.template.num_nodes * width for width in self.template.widths]

    @staticmethod
    def _cell_name(source: int | None, target: int) -> str:
        """Name of the cell for what goes from a level to another; None stands for all sources."""
        return str(target) if source is None else f"{source}_{target}"

    def arch_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yields alpha and beta with their names."""
        yield "alpha", self.alpha
        yield "beta", self.beta

    def moves(self) -> Tensor:
        """Probabilities of the moves ``(R, 3)`` from each level that each layer reads."""
        return self.beta.masked_fill(self.impossible, -torch.inf).softmax(dim=1)

    def cell_weights(self, layer: int, level: int) -> Tensor:
        """Weights ``(E, 7)`` of the operations on the edges of a cell."""
        index = {
            "network": 0,
            "layer": layer,
            "cell": sum(self.trellis.levels[1 : layer + 1]) + level,
        }
        return self.alpha[index[self.alpha_scope]].softmax(dim=1)

    @cached_property
    def reference_cost(self) -> float:
        """Expected cost where all choices are equal, in the unit of :meth:`expected_cost`."""
        possible = self.trellis.possible_moves().float()
        moves = self.trellis.transitions(possible / possible.sum(dim=1, keepdim=True))
        shape = num_edges(self.template.num_nodes), len(HINAS_OPS)
        weights = [[torch.full(shape, 1 / shape[1])] * n for n in self.trellis.levels[1:]]
        return self.cost.expected(moves, weights).item()

    def expected_cost(self) -> Tensor:
        """Expected cost of the derived network.

        Returns:
            Differentiable scalar in the unit of ``cost``, for a network with the ``mid_channels``
            of the supernet; see :meth:`~mmsrnas.models.hinas.cost.HiNASCost.expected`.
        """
        return self.cost.expected(self.trellis.transitions(self.moves()), self._all_weights())

    def _all_weights(self) -> list[list[Tensor]]:
        """Weights of the operations at each layer and level."""
        return [
            [self.cell_weights(layer, level) for level in range(count)]
            for layer, count in enumerate(self.trellis.levels[1:])
        ]

    def collapse(self) -> str | None:
        """Says which derived cell would be mostly identities, if there is one."""
        edges = 2 * self.template.num_nodes
        for cell, skips in enumerate(self.genotype().skip_counts):
            if 2 * skips > edges:
                return f"cell {cell} has {skips} skip connections on {edges} edges"
        return None

    def genotype(self) -> HiNASGenotype:
        """Decodes alpha and beta: two edges per node, and the most probable path.

        With a budget, the likeliest choice within it.
        """
        if self.budget is None:
            return self._decode(best_path(self._log_moves()))
        return self._constrained(self.cost).preferred(self.budget).genotype

    @staticmethod
    def build_network(genotype: HiNASGenotype) -> HiNASNet:
        """The network of a genotype, freshly initialised."""
        return HiNASNet(genotype)

    def preferred(
        self, cost: Cost, budget: float, least: float = 0.0, mid_channels: int | None = None
    ) -> Preference:
        """The likeliest path with the likeliest edges and operations within a budget.

        See :meth:`~mmsrnas.models.supernet.RankedSupernet.preferred`.
        """
        template = self.template.replace(mid_channels=mid_channels)
        constrained = self._constrained(HiNASCost.build(cost, template))
        found = constrained.preferred(budget, least)
        return Preference(found.genotype.replace(mid_channels=mid_channels), found.loss)

    def _constrained(self, cost: HiNASCost) -> Constrained:
        favourite = self._decode(best_path(self._log_moves()))
        return Constrained(favourite, self.trellis, self._log_moves(), self._all_weights(), cost)

    def _log_moves(self) -> tuple[Tensor, ...]:
        masked = self.beta.masked_fill(self.impossible, -torch.inf).double()
        return self.trellis.split(masked.log_softmax(dim=1))

    def _decode(self, path: tuple[int, ...]) -> HiNASGenotype:
        cells = tuple(decode_cell(self.cell_weights(n, level)) for n, level in enumerate(path))
        return self.template.replace(cells=cells, path=path)

    def forward(self, x: Tensor) -> Tensor:
        """Restores images.

        Args:
            x: Images ``(N, in_channels, H, W)`` in [0, 1].

        Returns:
            Images ``(N, in_channels, s * H, s * W)``, not clamped.

        Raises:
            ValueError: The number of channels is not that of the network.
        """
        self.check_channels(x)
        stem = self.act(self.stem1(x))
        path = self.genotype().path if self.discrete else None
        moves = self.moves() if path is None else self.trellis.path_moves(path).to(self.beta)
        if not self.reference:
            stem = stem.contiguous(memory_format=torch.channels_last)
        outputs = [self.stem2(self.act(stem) if self.official else stem)]
        before_previous = [self.reduce(stem)]
        for layer, layer_moves in enumerate(self.trellis.split(moves)):
            if len(before_previous) < self.trellis.levels[layer + 1]:
                widen = self.widen[len(before_previous) - 1]
                before_previous.append(widen(before_previous[-1]))
            outputs, before_previous = self._run_layer(layer, outputs, before_previous, layer_moves)
        if path is not None:
            outputs = [y * (level == path[-1]) for level, y in enumerate(outputs)]
        features = [context(y) for context, y in zip(self.contexts, outputs, strict=True)]
        residual = self.last(self.decoder(torch.cat(features, dim=1)))
        if self.official:
            return self.add_residual(x, residual, "bilinear").sigmoid()
        return self.add_residual(x, residual)

    def _run_layer(
        self, layer: int, outputs: list[Tensor], before_previous: list[Tensor], moves: Tensor
    ) -> tuple[list[Tensor], list[Tensor]]:
        """One layer of the trellis: outputs of its cells, and what they received, by level."""
        received: list[dict[int, tuple[Tensor, Tensor]]] = [{} for _ in before_previous]
        for level, (router, y) in enumerate(zip(self.routers[layer], outputs, strict=True)):
            for target, routed in router(y).items():
                received[target][level] = moves[level, target - level + 1], routed
        inputs: list[Any] = [sum(w * routed for w, routed in terms.values()) for terms in received]
        cells = self.cells[layer]
        results: list[Any] = []
        for target, terms in enumerate(received):
            before, weights = before_previous[target], self.cell_weights(layer, target)
            if self.discrete:
                weights = one_hot_cell(weights)
            if self.share_cells:
                result = cells[self._cell_name(None, target)](inputs[target], before, weights)
            else:
                result = sum(
                    w * cells[self._cell_name(level, target)](routed, before, weights)
                    for level, (w, routed) in terms.items()
                )
            results.append(result)
        return results, inputs
