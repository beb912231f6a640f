"""REINFORCE with a moving baseline: what turns rewards into an update of the policy."""

from collections.abc import Sequence

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor

from mmsrnas.models.hnas.controller import HNASController, PolicySample, reinforce_loss

__all__ = ["PolicyGradient"]


class PolicyGradient:
    """Updates the policy by the rewards of what it sampled.

    The baseline is the moving average of the rewards; it lies in the controller, so that it is in
    its checkpoints. With ``compat='official'`` the advantage is taken against the average that
    contains the reward already, and the position weighs ten times as much as a cell.

    Args:
        controller: The policy.
        entropy_weight: Weight of the entropy in the first and in the last update; linear between.
        baseline_momentum: Share of the old average in the new one.

    Raises:
        ValueError: A negative weight, or a momentum outside [0, 1).
    """

    def __init__(
        self,
        controller: HNASController,
        entropy_weight: Sequence[float] = (0.05, 0.005),
        baseline_momentum: float = 0.95,
    ) -> None:
        if len(entropy_weight) != 2 or min(entropy_weight) < 0:
            raise ValueError(
                "entropy_weight: expected the first and the last weight, both at least 0, "
                f"got {entropy_weight!r}."
            )
        if not 0 <= baseline_momentum < 1:
            raise ValueError(f"baseline_momentum: expected 0 <= m < 1, got {baseline_momentum!r}.")
        self.controller = controller
        self.entropy_weight = tuple(entropy_weight)
        self.momentum = baseline_momentum
        self.official = controller.compat == "official"

    def update(
        self,
        sample: PolicySample,
        rewards: Tensor,
        optim_wrapper: OptimWrapper,
        progress: float,
    ) -> dict[str, Tensor]:
        """Takes one step.

        Args:
            sample: Genotypes that the policy sampled.
            rewards: Their rewards ``(N,)``.
            optim_wrapper: Optimizer of the policy.
            progress: Share of the search that is over, in [0, 1].

        Returns:
            What is worth logging.
        """
        rewards = rewards.to(sample.log_probs)
        old = self._baseline(rewards)
        new = self.momentum * old + (1 - self.momentum) * rewards.mean()
        self.controller.baseline.copy_(new)
        first, last = self.entropy_weight
        loss = reinforce_loss(
            sample,
            rewards - (new if self.official else old),
            first + (last - first) * progress,
            (1.0, 1.0, 10.0) if self.official else (1.0, 1.0, 1.0),
        )
        optim_wrapper.update_params(loss)
        entropy = sample.entropies.detach().sum(dim=1).mean()
        return {
            "policy_loss": loss.detach(),
            "reward": rewards.mean(),
            "baseline": new,
            "entropy": entropy / self.controller.space.max_entropy(),
        }

    def _baseline(self, rewards: Tensor) -> Tensor:
        """The average so far; at the first update, that of its own rewards."""
        baseline = self.controller.baseline
        return rewards.mean() if baseline.isnan() else baseline.clone()

    def reset_baseline(self) -> None:
        """Forgets the average, as the released code does at every epoch."""
        self.controller.baseline.fill_(torch.nan)
