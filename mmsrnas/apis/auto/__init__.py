"""From photographs, a device and milliseconds to a network that can be shipped.

``plan`` looks at the photographs and writes configs, ``auto`` runs them to the end.
"""

from .budget import Budget
from .planning import METHODS, TASKS, Plan, plan
from .run import auto

__all__ = ["METHODS", "TASKS", "Budget", "Plan", "auto", "plan"]
