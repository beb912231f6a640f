"""Multi-objective search in a space whose front is known."""

import sys

import pytest

from mmsrnas.analysis.evolution import evolve, random_search, search_front
from mmsrnas.analysis.front import hypervolume
from mmsrnas.models.elastic.decoding import ElasticSpace

SPACE = ElasticSpace(tuple(range(1, 9)), (8, 16, 24, 32), cells_per_stage=2)


def judge(genotype):
    """Depth and gates are worth their cost, 5x5 and GELU are not."""
    gates = genotype.ops.count("gate_3x3")
    cost = sum(genotype.widths) + 60 * genotype.ops.count("conv_5x5") + 5 * gates
    cost += 40 * (genotype.activation == "gelu")
    return 30 + genotype.num_cells + gates + sum(genotype.widths) / 100, cost


def test_evolution_dominates_more_than_random_search_with_as_many_evaluations():
    pytest.importorskip("pymoo")
    for seed in range(3):
        found = [
            hypervolume(search(SPACE, judge, 300, seed), 30, 400)
            for search in (evolve, random_search)
        ]
        assert found[0] > 1.05 * found[1]


def test_every_genotype_is_judged_once_and_the_seed_decides():
    pytest.importorskip("pymoo")
    calls = []

    def counted(genotype):
        calls.append(genotype)
        return judge(genotype)

    first = evolve(SPACE, counted, 70, seed=1)
    assert len(first) == len(calls) == len(set(calls)) == 70
    assert evolve(SPACE, judge, 70, seed=1) == first
    assert evolve(SPACE, judge, 70, seed=2) != first
    widest = max(first, key=lambda s: sum(s.genotype.widths))
    assert widest.genotype.widths == (32,) * 8


def test_small_spaces_are_judged_whole(monkeypatch):
    pytest.importorskip("pymoo")
    monkeypatch.setattr("mmsrnas.analysis.evolution.MAX_STALE", 3)
    space = ElasticSpace((1, 2), (8, 16), ops=("conv_3x3",))
    found = search_front(space, judge, 100)
    assert [s.genotype for s in found] == list(space.all())
    assert 4 <= len(evolve(space, judge, 100, population=4)) <= space.size()


def test_random_search_judges_different_networks():
    found = random_search(SPACE, judge, 30, seed=3)
    assert len({s.genotype for s in found}) == 30


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymoo.algorithms.moo.nsga2", None)
    with pytest.raises(ModuleNotFoundError, match=r"mmsrnas\[evolution\]"):
        evolve(SPACE, judge, 10)
