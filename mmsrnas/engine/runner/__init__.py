"""Loops and runners of searches that the stock ones cannot run."""

from .policy_gradient import PolicyGradient
from .rl_search_loop import RLSearchLoop
from .rl_search_runner import RLSearchRunner

__all__ = ["PolicyGradient", "RLSearchLoop", "RLSearchRunner"]
