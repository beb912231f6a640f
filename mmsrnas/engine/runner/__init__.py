"""Loops and runners of searches that the stock ones cannot run."""

from .policy_gradient import PolicyGradient
from .reward import Reward
from .rl_search_loop import RLSearchLoop
from .rl_search_runner import RLSearchRunner

__all__ = ["PolicyGradient", "RLSearchLoop", "RLSearchRunner", "Reward"]
