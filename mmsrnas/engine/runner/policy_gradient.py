"""REINFORCE with a moving baseline: what turns rewards into an update of the policy."""

from collections.abc import Sequence

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor

from mmsrnas.models.supernet import Policy, PolicySample

__all__ = ["PolicyGradient", "reinforce_loss"]


def reinforce_loss(
    sample: PolicySample,
    advantages: Tensor,
    entropy_weight: float,
    part_weights: Sequence[float],
) -> Tensor:
    """The loss whose gradient is the policy gradient, with a bonus for entropy.

    Args:
        sample: Decisions of the policy.
        advantages: Reward minus baseline of every architecture ``(N,)``.
        entropy_weight: Weight of the entropy.
        part_weights: Weights of the parts of the sample.

    Returns:
        Differentiable scalar, the mean over the architectures.
    """
    weights = sample.log_probs.new_tensor(part_weights)
    log_probs, entropies = sample.log_probs @ weights, sample.entropies @ weights
    return -(log_probs * advantages + entropy_weight * entropies).mean()


class PolicyGradient:
    """Updates a policy by the rewards of what it sampled.

    The baseline is the moving average of the rewards; it lies in the policy, so that it is in its
    checkpoints.

    Args:
        policy: The policy.
        entropy_weight: Weight of the entropy in the first and in the last update; linear between.
        baseline_momentum: Share of the old average in the new one.
        baseline_has_reward: Take the advantage against the average that contains the reward
            already, as the released code of HNAS does, instead of the one before.

    Raises:
        ValueError: A negative weight, or a momentum outside [0, 1).
    """

    def __init__(
        self,
        policy: Policy,
        entropy_weight: Sequence[float] = (0.05, 0.005),
        baseline_momentum: float = 0.95,
        baseline_has_reward: bool = False,
    ) -> None:
        if len(entropy_weight) != 2 or min(entropy_weight) < 0:
            raise ValueError(
                "entropy_weight: expected the first and the last weight, both at least 0, "
                f"got {entropy_weight!r}."
            )
        if not 0 <= baseline_momentum < 1:
            raise ValueError(f"baseline_momentum: expected 0 <= m < 1, got {baseline_momentum!r}.")
        self.policy = policy
        self.entropy_weight = tuple(entropy_weight)
        self.momentum = baseline_momentum
        self.baseline_has_reward = baseline_has_reward

    def update(
        self,
        sample: PolicySample,
        rewards: Tensor,
        optim_wrapper: OptimWrapper,
        progress: float,
    ) -> dict[str, Tensor]:
        """Takes one step.

        Args:
            sample: Architectures that the policy sampled.
            rewards: Their rewards ``(N,)``.
            optim_wrapper: Optimizer of the policy.
            progress: Share of the search that is over, in [0, 1].

        Returns:
            What is worth logging; the entropy is in nats.
        """
        rewards = rewards.to(sample.log_probs)
        old = self._baseline(rewards)
        new = self.momentum * old + (1 - self.momentum) * rewards.mean()
        self.policy.baseline.copy_(new)
        first, last = self.entropy_weight
        loss = reinforce_loss(
            sample,
            rewards - (new if self.baseline_has_reward else old),
            first + (last - first) * progress,
            self.policy.part_weights,
        )
        optim_wrapper.update_params(loss)
        return {
            "policy_loss": loss.detach(),
            "reward": rewards.mean(),
            "baseline": new,
            "entropy": sample.entropies.detach().sum(dim=1).mean(),
        }

    def _baseline(self, rewards: Tensor) -> Tensor:
        """The average so far; at the first update, that of its own rewards."""
        baseline = self.policy.baseline
        return rewards.mean() if baseline.isnan() else baseline.clone()

    def reset_baseline(self) -> None:
        """Forgets the average."""
        self.policy.baseline.fill_(torch.nan)
