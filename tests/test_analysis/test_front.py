"""Fronts of quality and cost."""

import pytest

from mmsrnas.analysis.front import Scored, hypervolume, pareto_front
from mmsrnas.genotypes import load_genotype

POINTS = [(30.0, 5), (31.0, 5), (29.0, 2), (28.0, 3), (31.0, 9), (32.0, 9)]


def scored(points):
    genotype = load_genotype("ELASTIC_LARGE")
    return [Scored(genotype, psnr, cost) for psnr, cost in points]


def test_front_holds_what_nothing_beats():
    front = pareto_front(scored(POINTS))
    assert [(c.psnr, c.cost) for c in front] == [(29.0, 2), (31.0, 5), (32.0, 9)]


def test_hypervolume_is_the_dominated_area():
    # From 28 dB on and up to a cost of 10: 1 dB from 2 to 5, 3 dB from 5 to 9, 4 dB to 10.
    assert hypervolume(scored(POINTS), 28.0, 10) == pytest.approx(1 * 3 + 3 * 4 + 4 * 1)
    assert hypervolume(scored(POINTS), 28.0, 5) == pytest.approx(1 * 3)
    assert hypervolume(scored(POINTS), 33.0, 10) == 0
