"""The policy of HNAS: three recurrent networks that write a genotype token by token."""

from collections.abc import Callable, Iterator

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmsrnas.models.supernet import PolicySample
from mmsrnas.registry import MODELS

from .decoding import HNASSpace

__all__ = ["HNASController", "check_variant"]

VARIANTS = ("default", "paper", "official")

OP_TANH_DIVISOR = 2.5
"""Divides ``tanh_constant`` for the logits of operations, as in the released code."""

EXCLUDED = -1e9
"""Logit of what is not to be chosen: its probability is zero, and zero times it is finite."""

Choose = Callable[[Tensor], Tensor]


def check_variant(variant: str) -> None:
    """Raises ``ValueError`` for an unknown variant."""
    if variant not in VARIANTS:
        raise ValueError(f"variant: expected one of {VARIANTS}, got {variant!r}.")


class _Decisions:
    """The decisions of one part, made one by one.

    Args:
        choose: Maps log-probabilities ``(N, K)`` to choices ``(N,)``.
        temperature: Divides the logits; None leaves them alone.
        tanh_constant: Bounds the logits, as ``c * tanh(logits)``; None leaves them alone.
    """

    def __init__(
        self, choose: Choose, temperature: float | None, tanh_constant: float | None
    ) -> None:
        self.choose = choose
        self.temperature = temperature
        self.tanh_constant = tanh_constant
        self.tokens: list[Tensor] = []
        self.log_probs: list[Tensor] = []
        self.entropies: list[Tensor] = []

    def decide(
        self, logits: Tensor, tanh_divisor: float = 1.0, allowed: Tensor | None = None
    ) -> Tensor:
        """Makes a decision.

        Args:
            logits: Logits of the candidates ``(N, K)``.
            tanh_divisor: Divides ``tanh_constant`` for this decision.
            allowed: Which candidates can be chosen ``(N, K)``; all where it is None.

        Returns:
            The choices ``(N,)``.
        """
        if self.temperature is not None:
            logits = logits / self.temperature
        if self.tanh_constant is not None:
            logits = self.tanh_constant / tanh_divisor * torch.tanh(logits)
        if allowed is not None:
            logits = logits.masked_fill(~allowed, EXCLUDED)
        log_probs = logits.log_softmax(dim=1)
        token = self.choose(log_probs)
        self.tokens.append(token)
        self.log_probs.append(log_probs.gather(1, token[:, None])[:, 0])
        self.entropies.append(-(log_probs.exp() * log_probs).sum(dim=1))
        return token


class Attention(nn.Module):
    """Logits of candidates from their embeddings and the state: ``v . tanh(W_e e + W_h h)``.

    Args:
        hidden_channels: Size of embeddings and state.
    """

    def __init__(self, hidden_channels: int) -> None:
        super().__init__()
        self.key = nn.Linear(hidden_channels, hidden_channels, bias=False)
        self.query = nn.Linear(hidden_channels, hidden_channels, bias=False)
        self.score = nn.Linear(hidden_channels, 1, bias=False)

    def forward(self, keys: Tensor, state: Tensor) -> Tensor:
        """Maps keys ``(K, C)`` and states ``(N, C)`` to logits ``(N, K)``."""
        return self.score(torch.tanh(self.key(keys) + self.query(state)[:, None]))[..., 0]


class CellPolicy(nn.Module):
    """Writes the tokens of one cell.

    Args:
        num_nodes: Number of intermediate nodes.
        num_ops: Number of operations.
        hidden_channels: Size of embeddings and state.
        see_last_op: Whether the summary of the cell knows the last token.
        inner_ops: Which operations the edges from nodes 2 on choose from; all where it is None.
    """

    inner_ops: Tensor | None

    def __init__(
        self,
        num_nodes: int,
        num_ops: int,
        hidden_channels: int,
        see_last_op: bool,
        inner_ops: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("inner_ops", inner_ops, persistent=False)
        self.num_nodes = num_nodes
        self.see_last_op = see_last_op
        # Rows: the nodes that can be sources, then the operations.
        self.embedding = nn.Embedding(num_nodes + 1 + num_ops, hidden_channels)
        self.attention = Attention(hidden_channels)
        self.op_head = nn.Linear(hidden_channels, num_ops)
        self.lstm = nn.LSTMCell(hidden_channels, hidden_channels)

    def forward(self, count: int, decisions: _Decisions) -> Tensor:
        """Decides on ``count`` cells and returns their summaries ``(count, C)``."""
        table = self.embedding.weight
        feed = table.new_zeros(count, table.size(1))
        state = (feed, feed)
        for node in range(self.num_nodes):
            sources = []
            for _ in range(2):
                state = self.lstm(feed, state)
                source = decisions.decide(self.attention(table[: node + 2], state[0]))
                sources.append(source)
                feed = table[source]
            for source in sources:
                state = self.lstm(feed, state)
                op = decisions.decide(
                    self.op_head(state[0]), OP_TANH_DIVISOR, self._allowed(source)
                )
                feed = table[self.num_nodes + 1 + op]
        return self.lstm(feed, state)[0] if self.see_last_op else state[0]

    def _allowed(self, source: Tensor) -> Tensor | None:
        """Which operations the edges from ``source`` ``(N,)`` can have ``(N, K)``."""
        return None if self.inner_ops is None else self.inner_ops | (source < 2)[:, None]


class PositionPolicy(nn.Module):
    """Chooses the upsampling position from the summaries of both cells.

    Args:
        num_cells: Number of positions.
        hidden_channels: Size of embeddings and summaries.
        summaries_as: ``'state'``: the summary of the normal cell is the first hidden state, that
            of the upsampling cell the first cell state, and the input is zero; ``'input'``: both
            together are the input, and the state is zero.
    """

    def __init__(self, num_cells: int, hidden_channels: int, summaries_as: str) -> None:
        super().__init__()
        self.summaries_as = summaries_as
        self.embedding = nn.Embedding(num_cells, hidden_channels)
        self.attention = Attention(hidden_channels)
        inputs = {"state": hidden_channels, "input": 2 * hidden_channels}[summaries_as]
        self.lstm = nn.LSTMCell(inputs, hidden_channels)

    def forward(self, normal: Tensor, upsampling: Tensor, decisions: _Decisions) -> None:
        """Decides on one position per row of the summaries ``(N, C)``."""
        if self.summaries_as == "state":
            hidden, _ = self.lstm(torch.zeros_like(normal), (normal, upsampling))
        else:
            hidden, _ = self.lstm(torch.cat([normal, upsampling], dim=1))
        decisions.decide(self.attention(self.embedding.weight, hidden))


@MODELS.register_module()
class HNASController(BaseModule):
    """Hierarchical controller: normal cell, upsampling cell, then position (arXiv 2003.04619).

    Args:
        space: The genotypes to choose from; the supernet hands in its own.
        hidden_channels: Size of embeddings and states.
        variant: ``'official'`` follows the released code: the summaries of the cells are the input
            of the position network, and do not know the last operation, and the position weighs
            ten times as much as a cell in the loss. ``'paper'`` and ``'default'`` make them its
            first state, and complete, and weigh all alike. The supernet hands in its own.
        temperature: Divides all logits; None, as the released code has it by default, does not.
        tanh_constant: Bounds the logits of sources and position to ``+-tanh_constant``, those of
            operations to ``1 / 2.5`` of it; None, as the released code has it by default, does not.
        init_cfg: Initialisation config of mmengine.

    Attributes:
        baseline: Moving average of the rewards, kept by the search.
        psnr_std: Spread in dB of the PSNR of random architectures, kept by the search.
        part_weights: Weights of normal cell, upsampling cell and position in the loss.

    Raises:
        ValueError: Unknown ``variant``, or a ``temperature`` or ``tanh_constant`` that is not
            positive.
    """

    baseline: Tensor
    psnr_std: Tensor

    def __init__(
        self,
        space: HNASSpace,
        hidden_channels: int = 100,
        variant: str = "default",
        temperature: float | None = None,
        tanh_constant: float | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_variant(variant)
        for key, value in (("temperature", temperature), ("tanh_constant", tanh_constant)):
            if value is not None and not value > 0:
                raise ValueError(f"controller.{key}: expected None or more than 0, got {value!r}.")
        self.space = space
        self.temperature = temperature
        self.tanh_constant = tanh_constant
        official = variant == "official"
        self.part_weights = (1.0, 1.0, 10.0) if official else (1.0, 1.0, 1.0)
        nodes, hidden = space.num_nodes, hidden_channels
        self.normal = CellPolicy(nodes, len(space.normal_ops), hidden, not official)
        self.upsampling = CellPolicy(
            nodes, len(space.upsampling_ops), hidden, not official, _inner_ops(space)
        )
        self.position = PositionPolicy(space.num_cells, hidden, "input" if official else "state")
        self.register_buffer("baseline", torch.tensor(torch.nan))
        self.register_buffer("psnr_std", torch.tensor(torch.nan))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.1, 0.1)
        nn.init.zeros_(self.normal.op_head.bias)

    def sample(self, count: int, generator: torch.Generator | None = None) -> PolicySample:
        """Samples genotypes, all at once.

        Args:
            count: Number of genotypes.
            generator: Source of randomness, on the CPU.

        Returns:
            The decisions, differentiable.
        """

        def choose(log_probs: Tensor) -> Tensor:
            # On the CPU, the same generator draws the same on every device.
            probs = log_probs.detach().exp().cpu()
            return torch.multinomial(probs, 1, generator=generator)[:, 0].to(log_probs.device)

        return self._run(count, choose)

    def evaluate(self, tokens: Tensor) -> PolicySample:
        """Log-probabilities and entropies of given tokens ``(N, T)``."""
        columns = iter(tokens.unbind(dim=1))
        return self._run(len(tokens), lambda _: next(columns))

    def argmax(self) -> PolicySample:
        """The most likely token at every decision, given those before it; ``N`` is 1."""
        return self._run(1, lambda log_probs: log_probs.argmax(dim=1))

    def _run(self, count: int, choose: Choose) -> PolicySample:
        parts = [_Decisions(choose, self.temperature, self.tanh_constant) for _ in range(3)]
        normal = self.normal(count, parts[0])
        upsampling = self.upsampling(count, parts[1])
        self.position(normal, upsampling, parts[2])
        return PolicySample(
            tokens=torch.stack([token for part in parts for token in part.tokens], dim=1),
            log_probs=_sums(part.log_probs for part in parts),
            entropies=_sums(part.entropies for part in parts),
        )


def _sums(parts: Iterator[list[Tensor]]) -> Tensor:
    return torch.stack([torch.stack(part).sum(dim=0) for part in parts], dim=1)


def _inner_ops(space: HNASSpace) -> Tensor | None:
    """Which operations the inner edges of the upsampling cell have ``(K,)``; None for all."""
    inner = [op in space.inner_upsampling_ops for op in space.upsampling_ops]
    return None if all(inner) else torch.tensor(inner)
