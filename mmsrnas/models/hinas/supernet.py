"""The supernet of HiNAS: all cells at all widths at once, weighted by alpha and beta."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmsrnas.genotypes import HINAS_ACTIVATIONS, HINAS_OPS, HiNASGenotype
from mmsrnas.registry import MODELS

from .base import HiNASBase
from .cell import MixedCell
from .cost import ExpectedCost
from .modules import ASPP, build_activation, conv_norm
from .network import STEM_CHANNELS
from .path import best_path, decode_cell, num_edges, one_hot_cell, reached_levels

__all__ = ["HiNASSupernet"]

ASPP_RATE = 16
ALPHA_SCOPES = ("network", "layer", "cell")


class Router(nn.ModuleDict):
    """Projects the features of one level to the widths of the levels that it may go to.

    Args:
        in_channels: Channels of the features.
        widths: Target widths by level.
    """

    def __init__(self, in_channels: int, widths: dict[int, int]) -> None:
        super().__init__(
            {str(k): conv_norm(in_channels, width, 1, affine=False) for k, width in widths.items()}
        )

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """The projections of ``(N, in_channels, H, W)`` by target level."""
        return {int(level): project(x) for level, project in self.items()}


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
        num_layers: Number of layers, the cells of the derived network.
        num_nodes: Nodes of a cell.
        base_channels: Channels of a node at multiplier 1.
        width_multipliers: Widths of the levels in units of ``base_channels``; the paper's are
            1, 1.5, 2, those of the earlier CVPR paper 1, 2, 4.
        activation: Activation of the candidates, ``'leaky_relu'``, ``'relu'`` or ``'prelu'``.
        alpha_scope: What shares an alpha: the whole ``'network'``, the cells of a ``'layer'``
            (the paper's layer-wise sharing), or each ``'cell'`` on its own.
        share_cells: Sum up what a level receives and run one cell on it; False runs one cell for
            each level that it receives from.
        head: ``'residual'`` makes the image residual of the derived network; ``'official'`` puts a
            sigmoid behind it, enlarges bilinearly, and activates the stem twice, as the released
            code does.
        cost: What ``expected_cost()`` counts: ``'params'``, or ``'macs'`` per pixel of the input.
        literal: Evaluate the cells term by term; same results, slower and larger.
        with_cp: Compute the cells again in the backward pass instead of keeping their features.
        init_cfg: Initialisation config of mmengine.

    Attributes:
        discrete: Whether to run only what the genotype keeps, with the weights of the supernet:
            two edges per node, and the levels on the path. The decoder stays the supernet's.

    Raises:
        ValueError: An argument is out of its range.
    """

    def __init__(
        self,
        task: str = "sr",
        upscale_factor: int = 4,
        in_channels: int = 3,
        num_layers: int = 2,
        num_nodes: int = 3,
        base_channels: int = 8,
        width_multipliers: Sequence[float] = (1, 1.5, 2),
        activation: str = "leaky_relu",
        alpha_scope: str = "layer",
        share_cells: bool = True,
        head: str = "residual",
        cost: str = "params",
        literal: bool = False,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(task, upscale_factor, in_channels, head, init_cfg)
        for key, value, known in (
            ("activation", activation, HINAS_ACTIVATIONS),
            ("alpha_scope", alpha_scope, ALPHA_SCOPES),
        ):
            if value not in known:
                raise ValueError(f"{key}: expected one of {known}, got {value!r}.")
        if not 1 <= len(width_multipliers) <= num_layers + 1:
            raise ValueError(
                f"width_multipliers: {num_layers} layers reach 1 to {num_layers + 1} levels, "
                f"got {len(width_multipliers)}: {tuple(width_multipliers)}."
            )
        self.num_layers = num_layers
        self.num_nodes = num_nodes
        self.base_channels = base_channels
        self.width_multipliers = tuple(width_multipliers)
        self.activation = activation
        self.alpha_scope = alpha_scope
        self.share_cells = share_cells
        self.literal = literal
        self.widths = [int(base_channels * m) for m in width_multipliers]
        # Levels with features before the first layer, after it, ...
        self.levels = [reached_levels(n, len(self.widths)) for n in range(num_layers + 1)]

        self.act = build_activation(activation)
        cell_out = num_nodes * base_channels
        self.stem1 = conv_norm(in_channels, STEM_CHANNELS, 3, affine=False)
        self.stem2 = conv_norm(STEM_CHANNELS, cell_out, 3, affine=False)
        self.reduce = conv_norm(STEM_CHANNELS, base_channels, 3, affine=False)
        self.widen = nn.ModuleList(
            conv_norm(narrow, wide, 1, affine=False)
            for narrow, wide in zip(self.widths[:-1], self.widths[1:], strict=True)
        )
        self.routers = nn.ModuleList(
            nn.ModuleList(self._router(layer, i) for i in range(self.levels[layer]))
            for layer in range(num_layers)
        )
        self.cells = nn.ModuleList(
            nn.ModuleDict(
                {
                    self._cell_name(source, target): MixedCell(
                        self.widths[target], num_nodes, activation, literal, with_cp
                    )
                    for target in range(self.levels[layer + 1])
                    for source in self._cell_sources(layer, target)
                }
            )
            for layer in range(num_layers)
        )
        fused = self.levels[-1] * cell_out
        self.contexts = nn.ModuleList(
            ASPP(num_nodes * width, cell_out, (ASPP_RATE,), activation, affine=False)
            for width in self.widths
        )
        self.decoder = conv_norm(fused, fused, 3, affine=False, activation=activation)
        self.last = self.reconstruction(fused)
        self._init_arch_parameters()
        self.cost = ExpectedCost(
            cost,
            self.widths,
            num_nodes,
            activation,
            task=task,
            upscale_factor=upscale_factor,
            in_channels=in_channels,
        )
        self.discrete = False

    def _router(self, layer: int, level: int) -> Router:
        targets = self._targets(layer, level)
        channels = self.num_nodes * self.widths[level]
        return Router(channels, {target: self.widths[target] for target in targets})

    def _targets(self, layer: int, level: int) -> range:
        """Levels to which a layer may take what it reads at a level."""
        return range(max(level - 1, 0), min(level + 2, self.levels[layer + 1]))

    def _cell_sources(self, layer: int, target: int) -> list[int | None]:
        """The level that each cell of a target level receives from; None stands for all."""
        if self.share_cells:
            return [None]
        return [i for i in range(self.levels[layer]) if target in self._targets(layer, i)]

    @staticmethod
    def _cell_name(source: int | None, target: int) -> str:
        return str(target) if source is None else f"{source}_{target}"

    def _init_arch_parameters(self) -> None:
        scopes = {"network": 1, "layer": self.num_layers, "cell": sum(self.levels[1:])}
        shape = scopes[self.alpha_scope], num_edges(self.num_nodes), len(HINAS_OPS)
        self.alpha = nn.Parameter(torch.zeros(shape))
        possible = torch.tensor(
            [
                [level + move in self._targets(layer, level) for move in (-1, 0, 1)]
                for layer in range(self.num_layers)
                for level in range(self.levels[layer])
            ]
        )
        self.beta = nn.Parameter(torch.zeros(possible.shape))
        self.register_buffer("impossible", ~possible, persistent=False)

    def arch_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yields alpha and beta with their names."""
        yield "alpha", self.alpha
        yield "beta", self.beta

    def transitions(self) -> tuple[Tensor, ...]:
        """For each layer, the probabilities of the moves from each level it reads ``(S, 3)``."""
        masked = self.beta.masked_fill(self.impossible, -torch.inf)
        return masked.softmax(dim=1).split(self.levels[:-1])

    def cell_weights(self, layer: int, level: int) -> Tensor:
        """Weights ``(E, 7)`` of the operations on the edges of a cell."""
        index = {
            "network": 0,
            "layer": layer,
            "cell": sum(self.levels[1 : layer + 1]) + level,
        }
        return self.alpha[index[self.alpha_scope]].softmax(dim=1)

    def expected_cost(self) -> Tensor:
        """Expected parameters, or multiply-accumulates per input pixel, of the derived network.

        Returns:
            Differentiable scalar in millions, for a network with the ``base_channels`` of the
            supernet; see :class:`~mmsrnas.models.hinas.cost.ExpectedCost`.
        """
        transitions = []
        for moves, columns in zip(self.transitions(), self.levels[1:], strict=True):
            # The three moves of row i belong in columns i - 1 to i + 1.
            rows = [F.pad(row, (i, len(moves) - 1 - i)) for i, row in enumerate(moves)]
            transitions.append(torch.stack(rows)[:, 1 : columns + 1])
        weights = [
            [self.cell_weights(layer, level) for level in range(self.levels[layer + 1])]
            for layer in range(self.num_layers)
        ]
        return self.cost(transitions, weights)

    def collapse(self) -> str | None:
        """Says which derived cell would be mostly identities, if there is one."""
        for cell, skips in enumerate(self.genotype().skip_counts):
            if skips > self.num_nodes:
                return f"cell {cell} has {skips} skip connections on {2 * self.num_nodes} edges"
        return None

    def genotype(self) -> HiNASGenotype:
        """Decodes alpha and beta: two edges per node, and the most probable path."""
        masked = self.beta.masked_fill(self.impossible, -torch.inf).double()
        path = best_path(masked.log_softmax(dim=1).split(self.levels[:-1]))
        cells = [decode_cell(self.cell_weights(n, level)) for n, level in enumerate(path)]
        return HiNASGenotype(
            cells=tuple(cells),
            path=path,
            mid_channels=self.base_channels,
            width_multipliers=self.width_multipliers,
            activation=self.activation,
            task=self.task,
            upscale_factor=self.upscale_factor,
            in_channels=self.in_channels,
            variant="official" if self.official else "default",
        )

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
        if not self.literal:
            stem = stem.contiguous(memory_format=torch.channels_last)
        outputs = [self.stem2(self.act(stem) if self.official else stem)]
        before = [self.reduce(stem)]
        for layer, transitions in enumerate(
            self.transitions() if path is None else self._path_transitions(path)
        ):
            if len(before) < self.levels[layer + 1]:
                before.append(self.widen[len(before) - 1](before[-1]))
            outputs, before = self._run_layer(layer, outputs, before, transitions)
        if path is not None:
            outputs = [y * (level == path[-1]) for level, y in enumerate(outputs)]
        features = [context(y) for context, y in zip(self.contexts, outputs, strict=True)]
        residual = self.last(self.decoder(torch.cat(features, dim=1)))
        if self.official:
            return self.add_residual(x, residual, "bilinear").sigmoid()
        return self.add_residual(x, residual)

    def _path_transitions(self, path: Sequence[int]) -> tuple[Tensor, ...]:
        """Like :meth:`transitions`, with all weight on one path."""
        moves = torch.zeros_like(self.beta).split(self.levels[:-1])
        for layer, (source, target) in enumerate(zip((0, *path), path, strict=False)):
            moves[layer][source, target - source + 1] = 1
        return moves

    def _run_layer(
        self, layer: int, outputs: list[Tensor], before: list[Tensor], transitions: Tensor
    ) -> tuple[list[Tensor], list[Tensor]]:
        """One layer of the trellis: outputs of its cells, and what they received, by level."""
        received: list[dict[int, tuple[Tensor, Tensor]]] = [{} for _ in before]
        for level, (router, y) in enumerate(zip(self.routers[layer], outputs, strict=True)):
            for target, routed in router(y).items():
                received[target][level] = transitions[level, target - level + 1], routed
        inputs = [sum(w * routed for w, routed in terms.values()) for terms in received]
        cells = self.cells[layer]
        results = []
        for target, terms in enumerate(received):
            weights = self.cell_weights(layer, target)
            if self.discrete:
                weights = one_hot_cell(weights)
            if self.share_cells:
                result = cells[str(target)](inputs[target], before[target], weights)
            else:
                result = sum(
                    w * cells[self._cell_name(level, target)](routed, before[target], weights)
                    for level, (w, routed) in terms.items()
                )
            results.append(result)
        return results, inputs
