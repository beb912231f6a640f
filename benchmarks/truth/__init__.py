"""Tables of truth: many architectures of each search space, each trained from scratch.

``python -m benchmarks.truth SPACE --data DIR`` continues the table of a space, and
:func:`load_truth` answers questions from it without training anything.
"""

from .table import Truth, load_truth

__all__ = ["Truth", "load_truth"]
