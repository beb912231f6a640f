"""The comparison of searched and random networks, and of scores with the truth."""

import json
import re
import sys
from argparse import Namespace
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import search_vs_random
from truth import budget_search, ranking
from truth.budget_search import Round
from truth.images import Images
from truth.ranking import agreement, log_probability
from truth.spaces import SPACES
from truth.table import Row, Truth

from mmsrnas.genotypes import DLSR_OPS, DLSRGenotype, load_genotype
from mmsrnas.models import DLSRSpace, DLSRSupernet

COLUMNS = search_vs_random.columns_of(("set5", "set14", "valid"))


def rows(group, values, method="dlsr"):
    """Two trainings of each network, 0.2 dB apart."""
    for number, value in enumerate(values):
        for seed, change in enumerate((-0.1, 0.1)):
            row = dict.fromkeys(COLUMNS, "")
            psnr = {f"psnr_{name}": str(value + change) for name in ("set5", "set14", "valid")}
            fields = dict(method=method, group=group, genotype=f"{group}{number}")
            fields["cost"] = "9" if group == "uniform" else "10"
            yield row | psnr | fields | {"train_seed": str(seed)}


def test_report():
    random = [30 + 0.01 * i for i in range(12)]
    found = [*rows("random", random), *rows("searched", [30.2, 30.3, 30.055])]
    found += [*rows("uniform", [30.0]), *rows("random", [1.0], "hnas")]
    first, uniform, other = search_vs_random.report(found)
    assert "3 searched, 12 random; median percentile 100, difference +0.130 dB" in first
    low, high = json.loads(first[first.index("[") : first.index("]") + 1].replace("+", ""))
    assert low < 0.13 < high and "p 0.0" in first
    assert uniform == "  against uniform, at 0.90 of the cost: +0.185 dB"
    assert other == "hnas: 0 searched and 1 random: too few to compare"


@pytest.mark.parametrize(("name", "cells"), [("dlsr", "ops"), ("hnas", "normal")])
def test_architectures_of_one_cost(name, cells):
    method = search_vs_random.Method(name, draws=9)
    assert method.cost_of(method.template) == method.cost(method.space.build(method.template))
    near = method.near_budget(3, seed=1)
    assert near == method.near_budget(3, seed=1) and len(set(near)) == 3
    assert all(0.97 <= method.cost_of(g) / method.budget <= 1.03 for g in near)
    assert 0.8 < method.cost_of(method.uniform()) / method.budget <= 1.03
    original = load_genotype(search_vs_random.PUBLISHED[name])
    assert getattr(method.published(), cells) == getattr(original, cells)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("widths", "--rounds paths: expected one of dlsr"),
        ("dlsr --rounds short", "expected STRATEGY:STEPS:KEPT, got 'short'"),
        ("dlsr --rounds short:0:1", "the steps of a short training, got 'short:0:1'"),
        ("dlsr --width 32", "give --out too"),
        ("dlsr --fresh", "give --out too"),
        ("widths --width 32 --out a.csv --rounds short:5:1", "the widths are what this method"),
        ("dlsr --rounds long:5:1", "expected one of paths, gradient, short"),
    ],
)
def test_what_a_strategy_does_not_have(options, message, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["search_vs_random", *options.split(), "--data", "x"])
    with pytest.raises(SystemExit):
        search_vs_random.main()
    assert message in capsys.readouterr().err


def test_the_same_architectures_at_another_width():
    narrow, wide = search_vs_random.Method("dlsr", 9), search_vs_random.Method("dlsr", 9, width=48)
    assert wide.published() == load_genotype("DLSR").replace(global_skip=True, upscale_factor=2)
    assert [narrow.at_width(g) for g in narrow.near_budget(2, 1)] == narrow.near_budget(2, 1)
    for genotype in wide.near_budget(2, 1):
        assert genotype.mid_channels == 48
        assert 0.97 <= wide.cost(wide.space.build(genotype)) / wide.budget <= 1.03


def test_widths_of_one_cost():
    method = search_vs_random.Method("widths", draws=9)
    (near,) = method.near_budget(1, seed=1)
    assert 0.97 <= method.cost(method.space.build(near)) / method.budget <= 1.03
    (width,) = set(method.uniform().widths)
    cost = [
        method.cost_of(near.replace(widths=(w,) * len(near.widths))) for w in (width, width + 2)
    ]
    assert cost[0] <= 1.03 * method.budget < cost[1]


def test_each_round_keeps_the_best(monkeypatch):
    judged = []

    def judge_of(options, *_):
        def judge(genotypes, steps):
            judged.extend((options.strategy, steps, genotype) for genotype in genotypes)
            # After few iterations the dearest seems best, after more the cheapest.
            return ((-1) ** (steps > 10) * method.cost_of(genotype) for genotype in genotypes)

        return judge, 0.0

    monkeypatch.setattr(budget_search, "judge_of", judge_of)
    method = search_vs_random.Method("dlsr", draws=9)
    settings = dict(candidates=7, iterations=0, lr=0, unit_variance=False, finetune_lr=0)
    settings |= dict(rounds=(Round("paths", 0, 3), Round("short", 20, 1)))
    args = Namespace(**settings, data=Path("x"), device="cpu")
    best = budget_search.choose(method, 5, args, None)
    candidates = method.near_budget(7, 5, budget_search.USED)
    assert min(map(method.cost_of, candidates)) < 0.97 * method.budget
    better = sorted(candidates, key=lambda g: -method.cost_of(g))[:3]
    assert {g for *kind, g in judged if kind == ["paths", 0]} == set(candidates)
    assert {g for *kind, g in judged if kind == ["short", 20]} == set(better)
    assert len(judged) == 10 and method.cost_of(best) == method.cost_of(better[-1])


def test_jobs_are_those_of_the_proof():
    jobs = list(search_vs_random.jobs("dlsr", search_vs_random.Seeds()))
    groups = [group for group, *_ in jobs]
    assert len(jobs) == len(set(jobs)) == 2 * (3 + 12 + 1 + 1)
    assert set(jobs) - set(search_vs_random.jobs("widths", search_vs_random.Seeds())) == {
        ("published", 0, 0),
        ("published", 0, 1),
    }
    assert groups.count("searched") == 6 and groups.count("random") == 24


def test_a_fresh_proof_has_nothing_of_the_first():
    first, fresh = search_vs_random.Seeds(), search_vs_random.FRESH
    for field in ("search", "train"):
        assert not set(getattr(first, field)) & set(getattr(fresh, field))
    method = search_vs_random.Method("dlsr", draws=9)
    draws = [set(method.near_budget(5, seeds.draws)) for seeds in (first, fresh)]
    assert not draws[0] & draws[1]


def test_rows_of_a_method_once_each(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    clean = [rng.integers(0, 256, (60, 60, 3), dtype=np.uint8)]
    images = Images([image[::2, ::2] for image in clean], clean)
    space = SPACES["hinas_sr"]
    tiny = replace(space, recipe=replace(space.recipe, iterations=1, patch_size=16, batch_size=1))
    monkeypatch.setitem(SPACES, "hinas_sr", tiny)
    for name, value in {
        "training_images": lambda *_: images,
        "proof_sets": lambda *_: {"valid": images},
        "Seeds": partial(search_vs_random.Seeds, (10,), (0,)),
        "Method": partial(search_vs_random.Method, draws=5),
    }.items():
        monkeypatch.setattr(search_vs_random, name, value)
    judge = (lambda genotypes, _: [0] * len(genotypes)), 0.0
    monkeypatch.setattr(budget_search, "judge_of", lambda *_: judge)
    options = ["hinas_sr", "--data", "x", "--work", str(tmp_path), "--out", str(tmp_path / "a.csv")]
    options += ["--iterations", "1", "--candidates", "1", "--random", "1"]
    for more in (["--search", "10"], [], []):
        monkeypatch.setattr(sys, "argv", ["search_vs_random.py", *options, *more])
        search_vs_random.main()
    found = search_vs_random.read_records(tmp_path / "a.csv")
    groups = [(row["group"], row["search_seed"]) for row in found]
    assert groups == [("random", ""), ("uniform", ""), ("published", ""), ("searched", "10")]
    assert json.loads((tmp_path / "hinas_sr_10.json").read_text())["genotype"] == json.loads(
        found[-1]["genotype"]
    )


def truth_and_scores(score):
    """A table in which the dearer operation is better, and each second one still better."""
    genotypes = [DLSRGenotype((op,) * 3, ((0, 1),), 8) for op in DLSR_OPS]
    costs = {genotype: 2**i for i, genotype in enumerate(genotypes)}
    bonus = {genotype: 1.5 * (i % 2) for i, genotype in enumerate(genotypes)}
    table = [
        Row(g, 0, 1, costs[g], float("nan"), 30 + i + bonus[g], 30 + i + bonus[g], 1.0)
        for i, g in enumerate(genotypes)
    ]
    return Truth(table), {g: score(i, bonus[g]) for i, g in enumerate(genotypes)}


def test_agreement_over_all_and_beyond_the_cost():
    right = agreement(*truth_and_scores(lambda i, bonus: i + bonus))
    assert "9 architectures: Spearman 1.00, beyond the cost 1.00" in right
    wrong = agreement(*truth_and_scores(lambda i, bonus: i - bonus))
    overall, beyond = map(float, re.findall(r"-?\d\.\d\d", wrong)[:2])
    assert overall > 0.5 and beyond < -0.5
    truth, scores = truth_and_scores(lambda i, bonus: i)
    assert "too few" in agreement(truth, dict(list(scores.items())[:3]))


@pytest.mark.parametrize(
    ("options", "accepted"),
    [
        ("hnas --strategy short --finetune 100 300", True),
        ("hnas --strategy short", False),
        ("dlsr --unit-variance --finetune 5", True),
        ("widths", False),
        ("hnas --strategy gradient", False),
        ("hnas --unit-variance --finetune 5", True),
        ("dlsr --strategy short --finetune 5 --unit-variance", False),
        ("dlsr --strategy gradient --finetune 5", False),
    ],
)
def test_strategies_of_a_space(options, accepted, monkeypatch):
    ran = []
    monkeypatch.setattr(ranking, "run", ran.append)
    monkeypatch.setattr(sys, "argv", ["ranking", *options.split(), "--data", "x"])
    if accepted:
        ranking.main()
    else:
        with pytest.raises(SystemExit):
            ranking.main()
    assert len(ran) == accepted


@pytest.mark.parametrize(
    ("options", "runs"),
    [
        (["--iterations", "2", "--finetune", "0", "1"], [("2", "0", ""), ("2", "1", "0.0005")]),
        (["--strategy", "short", "--finetune", "1", "2"], [("1", "0", ""), ("2", "0", "")]),
    ],
)
def test_every_network_of_a_table_is_scored(options, runs, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    clean = [rng.integers(0, 256, (60, 60, 3), dtype=np.uint8)]
    images = Images([image[::2, ::2] for image in clean], clean)
    recipe = replace(SPACES["dlsr"].recipe, patch_size=16, batch_size=1)
    monkeypatch.setitem(SPACES, "dlsr", replace(SPACES["dlsr"], recipe=recipe, count=10))
    monkeypatch.setattr(ranking, "training_images", lambda *_: images)
    crop = (torch.rand(1, 3, 16, 16), torch.rand(1, 3, 32, 32))
    monkeypatch.setattr(ranking, "proxy_images", lambda *_: [crop])
    out = tmp_path / "ranks.csv"
    argv = ["ranking", "dlsr", "--data", "x", "--out", str(out), *options]
    monkeypatch.setattr(sys, "argv", argv)
    ranking.main()
    found = search_vs_random.read_records(out)
    columns = ("iterations", "finetune", "finetune_lr")
    assert [tuple(row[c] for c in columns) for row in found] == [r for r in runs for _ in range(10)]
    assert len({row["genotype"] for row in found}) == 10 and len({r["score"] for r in found}) > 10


def test_log_probability_is_highest_for_the_genotype():
    net = DLSRSupernet(mid_channels=4, num_cells=5)
    for _, parameter in net.arch_parameters():
        parameter.data.normal_()
    space = DLSRSpace(num_cells=5, mid_channels=4)
    best = log_probability(net, net.genotype())
    others = [space.decode(row) for row in space.random(20)]
    assert best > max(log_probability(net, g) for g in others if g != net.genotype())
