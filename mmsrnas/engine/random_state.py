"""Random numbers that depend on a place in the run, not on what was drawn before."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

__all__ = ["seed_from", "seeded"]


def seed_from(*numbers: int) -> None:
    """Seeds every generator of this process.

    Args:
        numbers: What the random numbers depend on, e.g. seed of the run and iteration; at least 0.
    """
    seed = _seed_cpu(numbers)
    if torch.cuda.is_initialized():  # else torch.manual_seed would note a call stack every time
        torch.cuda.manual_seed_all(seed)


@contextmanager
def seeded(*numbers: int) -> Iterator[None]:
    """Seeds the generators of the CPU for a while, and then puts them back.

    Args:
        numbers: As of :func:`seed_from`.
    """
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    _seed_cpu(numbers)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])


def _seed_cpu(numbers: tuple[int, ...]) -> int:
    first, second = np.random.SeedSequence(numbers).generate_state(2, np.uint64).tolist()
    random.seed(first)
    np.random.seed(first % (1 << 32))
    torch.default_generator.manual_seed(second)
    return second
