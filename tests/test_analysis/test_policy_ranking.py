import csv
import json

import pytest
import torch
from mmagic.structures import DataSample
from mmengine.registry import init_default_scope

from mmsrnas.analysis.policy_ranking import (
    PolicyRanking,
    draw_candidates,
    score_candidates,
)
from mmsrnas.latency import OperatorTable, parse_target
from mmsrnas.latency.table import Samples
from mmsrnas.models import HNASNet
from mmsrnas.models.hnas.cost import HNASCost, multi_adds
from mmsrnas.models.hnas.reward import MIN_PSNR_STD, HNASReward, image_psnr
from mmsrnas.registry import MODELS


@pytest.fixture(scope="module")
def editor():
    torch.manual_seed(0)
    init_default_scope("mmagic")
    model = dict(
        type="BaseEditModel",
        generator=dict(
            type="mmsrnas.HNASSupernet",
            num_cells=3,
            mid_channels=3,
            num_nodes=2,
            cost=dict(hr_size=(16, 16)),
            derived_mid_channels=4,
        ),
        pixel_loss=dict(type="L1Loss"),
        data_preprocessor=dict(type="DataPreprocessor", mean=[0.0] * 3, std=[255.0] * 3),
    )
    return MODELS.build(model)


def batch(seed, count=1, size=12):
    generator = torch.Generator().manual_seed(seed)
    lr = torch.randint(0, 256, (count, 3, size, size), generator=generator)
    hr = torch.randint(0, 256, (count, 3, 2 * size, 2 * size), generator=generator)
    return dict(inputs=list(lr), data_samples=[DataSample(gt_img=image) for image in hr])


@pytest.fixture(scope="module")
def reward(editor):
    return editor.generator.build_reward(0.5)


def test_policy_and_random_search_have_the_same_budget(editor):
    candidates = draw_candidates(editor.generator, 20, seed=1)
    groups = [candidate.group for candidate in candidates]
    assert groups == ["argmax"] + ["sample"] * 20 + ["random"] * 21
    assert len({candidate.genotype for candidate in candidates[:21]}) == 21
    assert candidates[0].genotype == editor.generator.genotype()
    again = draw_candidates(editor.generator, 20, seed=1)
    assert [c.genotype for c in again] == [c.genotype for c in candidates]


def test_score_is_that_of_the_calibrated_architecture_on_all_images(editor, reward):
    candidates = draw_candidates(editor.generator, 3)
    validation, training = [batch(1), batch(2, size=16)], [batch(3, 2)]
    score_candidates(candidates, editor, validation, training, reward)
    for candidate in candidates:
        patches = editor.data_preprocessor(batch(3, 2), False)["inputs"]
        editor.generator.calibrate(candidate.genotype, [patches])
        editor.eval()
        expected = []
        for seed, size in ((1, 12), (2, 16)):
            data = batch(seed, size=size)
            with torch.no_grad():
                sr = editor.generator(data["inputs"][0][None] / 255, candidate.genotype) * 255
            expected.append(image_psnr(sr, data["data_samples"][0].gt_img[None], 8).item())
        assert candidate.psnr == pytest.approx(sum(expected) / 2, abs=1e-3)
        assert candidate.cost == reward.cost(candidate.genotype)


def test_scores_are_the_same_in_any_order(editor, reward):
    """What was scored before leaves no trace in the statistics."""
    candidates = draw_candidates(editor.generator, 3)
    score_candidates(candidates, editor, [batch(1)], [batch(3, 2)], reward)
    first = [candidate.psnr for candidate in candidates]
    score_candidates(candidates[::-1], editor, [batch(1)], [batch(3, 2)], reward)
    assert [candidate.psnr for candidate in candidates] == first


def test_reward_trades_quality_against_cost_in_units_of_random_architectures(editor, reward):
    candidates = draw_candidates(editor.generator, 10)
    score_candidates(candidates, editor, [batch(1)], [batch(3, 2)], reward)
    random = torch.tensor([c.psnr for c in candidates if c.group == "random"])
    for c in candidates:
        quality = (c.psnr - random.mean().item()) / max(random.std().item(), MIN_PSNR_STD)
        cost = (c.cost - reward.cost.mean) / reward.cost.std
        assert c.reward == pytest.approx(0.5 * quality - 0.5 * cost, abs=1e-4)


@pytest.mark.parametrize("metric", ["multi_adds", "latency"])
def test_ranking_is_written_with_genotypes_that_stand_alone(
    editor, metric, tmp_path, tmp_path_factory, monkeypatch
):
    """The genotypes have the width that was rewarded, 4, not that of the supernet, 3."""
    supernet = editor.generator
    cost: dict = dict(type=metric, hr_size=(16, 16))
    if metric == "latency":
        cost |= dict(target="torch:cpu:1:8x8", table=tmp_path_factory.mktemp("l") / "table.json")
        OperatorTable(parse_target(cost["target"])).save(cost["table"])
        monkeypatch.setattr(OperatorTable, "_measure", lambda self, operator: Samples(0.5))
    cost = HNASCost(supernet.space, cost, mid_channels=4)
    reward = HNASReward(0.5, cost, supernet.policy.psnr_std)
    candidates = draw_candidates(supernet, 2)
    bicubic = score_candidates(candidates, editor, [batch(1)], [batch(3, 2)], reward)
    ranking = PolicyRanking(candidates, bicubic, supernet.space, reward.cost)
    ranking.write(tmp_path, {"seed": 3}, top_k=2)
    names = {path.name for path in tmp_path.iterdir()}
    files = {
        f"{name}{rank}{end}"
        for name in ("top", "random")
        for rank in (1, 2)
        for end in (".json", ".png")
    }
    assert names == files | {"architectures.csv", "pareto.png"}

    with open(tmp_path / "architectures.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = list(dict.fromkeys(["group", "reward", "psnr", metric, "multi_adds", "params"]))
    assert [*rows[0]] == [*columns, "on_front", "tokens"]
    assert [float(row["reward"]) for row in rows] == sorted(
        (c.reward for c in candidates), reverse=True
    )
    best = max((c for c in candidates if c.group != "random"), key=lambda c: c.reward)
    net = HNASNet(tmp_path / "top1.json")
    assert net.genotype == best.genotype.replace(mid_channels=4)
    row = next(row for row in rows if row["group"] != "random")
    assert int(row["multi_adds"]) == multi_adds(net.genotype, (8, 8))
    assert int(row["params"]) == sum(p.numel() for p in net.parameters())
    origin = json.loads((tmp_path / "top1.json").read_text())["provenance"]
    assert (origin["seed"], origin["group"], origin["cost"]) == (3, best.group, best.cost)

    lines = {line.split()[0]: line.split() for line in ranking.summary().splitlines()}
    assert lines["policy"][1] == lines["random"][1] == "3"
    assert float(lines["policy"][2]) == pytest.approx(best.reward, abs=1e-3)


def test_empty_validation_set_is_refused(editor, reward):
    with pytest.raises(ValueError, match="val_dataloader: it yields no image"):
        score_candidates(draw_candidates(editor.generator, 1), editor, [], [batch(3)], reward)
