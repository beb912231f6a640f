"""The policy of HNAS: three recurrent networks that write a genotype token by token."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmsrnas.registry import MODELS

from .space import HNASSpace

__all__ = ["COMPAT", "HNASController", "PolicySample", "reinforce_loss"]

COMPAT = ("fixed", "paper", "official")

Choose = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class PolicySample:
    """Decisions of the policy for ``N`` genotypes.

    Attributes:
        tokens: One row of tokens per genotype ``(N, T)``.
        log_probs: Log-probabilities of normal cell, upsampling cell and position ``(N, 3)``.
        entropies: Entropies of the same three parts ``(N, 3)``: sums over the decisions, each in
            the state that its predecessors led to.
    """

    tokens: Tensor
    log_probs: Tensor
    entropies: Tensor


class _Decisions:
    """Makes decisions one by one and adds up what they are worth."""

    def __init__(self, choose: Choose) -> None:
        self.choose = choose
        self.tokens: list[Tensor] = []
        self.log_probs: list[Tensor] = []
        self.entropies: list[Tensor] = []

    def decide(self, logits: Tensor) -> Tensor:
        """Chooses out of ``(N, K)`` and returns the choices ``(N,)``."""
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
    """

    def __init__(
        self, num_nodes: int, num_ops: int, hidden_channels: int, see_last_op: bool
    ) -> None:
        super().__init__()
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
            for _ in range(2):
                state = self.lstm(feed, state)
                source = decisions.decide(self.attention(table[: node + 2], state[0]))
                feed = table[source]
            for _ in range(2):
                state = self.lstm(feed, state)
                op = decisions.decide(self.op_head(state[0]))
                feed = table[self.num_nodes + 1 + op]
        return self.lstm(feed, state)[0] if self.see_last_op else state[0]


class PositionPolicy(nn.Module):
    """Chooses the upsampling position from the summaries of both cells.

    Args:
        num_layers: Number of positions.
        hidden_channels: Size of embeddings and summaries.
        summaries_as: ``'state'``: the summary of the normal cell is the first hidden state, that
            of the upsampling cell the first cell state, and the input is zero; ``'input'``: both
            together are the input, and the state is zero.
    """

    def __init__(self, num_layers: int, hidden_channels: int, summaries_as: str) -> None:
        super().__init__()
        self.summaries_as = summaries_as
        self.embedding = nn.Embedding(num_layers, hidden_channels)
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
        compat: ``'official'`` follows the released code: the summaries of the cells are the input
            of the position network, and do not know the last operation. ``'paper'`` and
            ``'fixed'`` make them its first state, and complete.
        init_cfg: Initialisation config of mmengine.

    Attributes:
        baseline: Moving average of the rewards, kept by the search.
        psnr_std: Spread in dB of the PSNR of random architectures, kept by the search.

    Raises:
        ValueError: Unknown ``compat``.
    """

    def __init__(
        self,
        space: HNASSpace,
        hidden_channels: int = 100,
        compat: str = "fixed",
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if compat not in COMPAT:
            raise ValueError(f"compat: expected one of {COMPAT}, got {compat!r}.")
        self.space = space
        self.compat = compat
        official = compat == "official"
        nodes, hidden = space.num_nodes, hidden_channels
        self.normal = CellPolicy(nodes, len(space.normal_ops), hidden, not official)
        self.upsampling = CellPolicy(nodes, len(space.upsampling_ops), hidden, not official)
        self.position = PositionPolicy(space.num_layers, hidden, "input" if official else "state")
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
        parts = [_Decisions(choose) for _ in range(3)]
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


def reinforce_loss(
    sample: PolicySample,
    advantages: Tensor,
    entropy_weight: float,
    part_weights: Sequence[float] = (1.0, 1.0, 1.0),
) -> Tensor:
    """The loss whose gradient is the policy gradient, with a bonus for entropy.

    Args:
        sample: Decisions of the policy.
        advantages: Reward minus baseline of every genotype ``(N,)``.
        entropy_weight: Weight of the entropy.
        part_weights: Weights of the normal cell, the upsampling cell and the position; the
            released code has 10 for the position.

    Returns:
        Differentiable scalar, the mean over the genotypes.
    """
    weights = sample.log_probs.new_tensor(part_weights)
    log_probs, entropies = sample.log_probs @ weights, sample.entropies @ weights
    return -(log_probs * advantages + entropy_weight * entropies).mean()
