"""Multi-objective search among the networks of a trained supernet."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch

from mmsrnas.genotypes import Genotype
from mmsrnas.models.supernet import PathSpace, SandwichSpace

from .front import Scored

__all__ = ["POPULATION", "evolve", "random_search", "search_front"]

POPULATION = 16
MAX_STALE = 100
"""Generations without a new genotype that end an evolution."""
Judge = Callable[[Any], tuple[float, float]]
"""Says PSNR in dB and cost of a genotype."""


def search_front(space: PathSpace, judge: Judge, evaluations: int, seed: int = 0) -> list[Scored]:
    """Judges networks of a space: all where they are few, those that NSGA-II proposes otherwise.

    Args:
        space: The space.
        judge: Says PSNR and cost of a genotype.
        evaluations: Most genotypes that are judged, each once.
        seed: Seed of the evolution.

    Returns:
        All that were judged.
    """
    if space.size() <= evaluations:
        return [Scored(genotype, *judge(genotype)) for genotype in space.all()]
    return evolve(space, judge, evaluations, seed)


def random_search(space: PathSpace, judge: Judge, evaluations: int, seed: int = 0) -> list[Scored]:
    """Judges different random networks, what every other search has to beat."""
    generator = torch.Generator().manual_seed(seed)
    found: dict[Genotype, None] = {}
    while len(found) < evaluations:
        found[space.decode(space.random(1, generator)[0])] = None
    return [Scored(genotype, *judge(genotype)) for genotype in found]


def evolve(
    space: PathSpace,
    judge: Judge,
    evaluations: int,
    seed: int = 0,
    population: int = POPULATION,
) -> list[Scored]:
    """NSGA-II (IEEE TEVC 6(2), 2002) over the tokens of a space, for high PSNR and low cost.

    The first population holds the largest and the smallest networks, where the space knows them.
    Needs the package pymoo.

    Args:
        space: The space.
        judge: Says PSNR and cost of a genotype.
        evaluations: Number of genotypes that are judged, each once, at least 1.
        seed: Seed of the evolution.
        population: Size of the population.

    Returns:
        All that were judged, in order; less than ``evaluations`` where nothing new is found in 100
        generations.

    Raises:
        ModuleNotFoundError: pymoo is not installed.
    """
    algorithm = _nsga2(space, population, seed)
    judged: dict[Genotype, Scored] = {}
    stale = 0
    while stale < MAX_STALE:
        known = len(judged)
        proposed = algorithm.ask()
        if proposed is None or not len(proposed):  # no two that differ can be bred
            break
        for individual in proposed:
            genotype = space.decode(individual.X)
            if genotype not in judged:
                judged[genotype] = Scored(genotype, *judge(genotype))
            individual.F = np.array([-judged[genotype].psnr, judged[genotype].cost])
            individual.evaluated.add("F")
            if len(judged) == evaluations:
                return list(judged.values())
        algorithm.tell(infills=proposed)
        stale = 0 if len(judged) > known else stale + 1
    return list(judged.values())


def _nsga2(space: PathSpace, population: int, seed: int) -> Any:
    """The algorithm, ready to propose rows of tokens."""
    try:
        from pymoo.algorithms.moo.nsga2 import NSGA2
        from pymoo.core.mutation import Mutation
        from pymoo.core.problem import Problem
        from pymoo.core.repair import Repair
        from pymoo.operators.crossover.ux import UX
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "a selection by evolution needs the package pymoo: pip install 'mmsrnas[evolution]'"
        ) from None
    sizes = np.array(space.sizes)

    class Redraw(Mutation):
        """Draws each token again, with the chance of one in a row."""

        def _do(self, problem: Any, X: Any, random_state: Any = None, **kwargs: Any) -> Any:  # noqa: N803
            hit = random_state.random(X.shape) < 1 / len(sizes)
            return np.where(hit, random_state.integers(sizes, size=X.shape), X)

    class Canonical(Repair):
        """Gives every genotype one row, so that duplicates are seen."""

        def _do(self, problem: Any, X: Any, **kwargs: Any) -> Any:  # noqa: N803
            return _canonical(space, X)

    draws = torch.Generator().manual_seed(seed)
    sized = isinstance(space, SandwichSpace)
    rows = space.sandwich(population - 2, draws) if sized else space.batch(population, draws)
    # The annotations of pymoo name the defaults for real numbers, not what it takes.
    operators: dict[str, Any] = dict(
        sampling=_canonical(space, rows), crossover=UX(), mutation=Redraw(), repair=Canonical()
    )
    algorithm = NSGA2(pop_size=population, eliminate_duplicates=True, **operators)
    problem = Problem(n_var=len(sizes), n_obj=2, xl=np.zeros(len(sizes)), xu=sizes - 1, vtype=int)
    return algorithm.setup(problem, seed=seed, termination=("n_gen", np.iinfo(np.int32).max))


def _canonical(space: Any, rows: Iterable[Any]) -> np.ndarray:
    return np.array([space.encode(space.decode(row)) for row in rows])
