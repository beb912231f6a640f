"""From photographs and a budget to a network, in the smallest size."""

import json

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmsrnas.apis import auto as automatic
from mmsrnas.apis.auto import Budget, auto, check_budget
from mmsrnas.apis.photographs import inspect_photographs, split
from mmsrnas.apis.planning import plan
from mmsrnas.costs import Cost


def photograph(seed, size=96):
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), np.uint8)
    return cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for i in range(8):
        cv2.imwrite(str(folder / f"IMG_{i:04}.png"), photograph(i))
    cv2.imwrite(str(folder / "more/copy.jpg"), cv2.resize(photograph(3), (90, 90)))
    cv2.imwrite(str(folder / "small.png"), photograph(99, 30))
    (folder / "broken.jpg").write_bytes((folder / "more/copy.jpg").read_bytes()[:500])
    return folder


def test_what_is_seen_in_a_folder(photos):
    found = inspect_photographs(photos, 64)
    assert found.count == 9 and len(found.groups) == 8
    assert ["IMG_0003.png", "more/copy.jpg"] in [sorted(group) for group in found.groups]
    assert set(found.broken) == {"small.png", "broken.jpg"}
    assert "30x30 pixels, less than 64" in str(found) and "truncated" in str(found).lower()


def test_numbers_behind_a_name_are_crops_of_one_photograph(tmp_path):
    for i in range(6):
        for crop in range(2):
            cv2.imwrite(str(tmp_path / f"shot{i}_{crop}.png"), photograph(10 * i + crop))
    assert [len(group) for group in inspect_photographs(tmp_path, 64).groups] == [2] * 6


@pytest.mark.parametrize("count", [6, 7, 20, 110])
def test_no_photograph_is_in_two_parts(count):
    groups = [[f"{i}a", f"{i}b"] for i in range(count)]
    parts = split(groups)
    names = [name for part in parts.values() for name in part]
    assert len(names) == len(set(names)) == 2 * count and all(parts.values())
    for part in parts.values():
        assert {name[:-1] + "a" for name in part} | {name[:-1] + "b" for name in part} == set(part)
    assert parts == split(groups) != split(groups, seed=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "other"}, "--method: expected one of dlsr"),
        ({"scale": 5}, "--scale: expected one of 2, 3, 4"),
        ({"hours": 0}, "--hours: expected a positive number"),
    ],
)
def test_arguments_without_a_meaning(photos, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        plan(photos, tmp_path / "out", **options)


def test_too_little_data(tmp_path):
    with pytest.raises(FileNotFoundError, match="PHOTOS: no folder"):
        plan(tmp_path / "nowhere", tmp_path / "out")
    for i in range(5):
        cv2.imwrite(str(tmp_path / f"p{i}x.png"), photograph(i))
    with pytest.raises(ValueError, match="PHOTOS: 5 different photographs can be used"):
        plan(tmp_path, tmp_path / "out")


@pytest.fixture
def made(photos, tmp_path, monkeypatch):
    """A plan of four iterations with one patch each."""
    monkeypatch.setattr("mmsrnas.apis.planning.BATCH", 1)
    return plan(photos, tmp_path / "auto", hours=1e-9, mid_channels=8)


def test_plan_is_a_folder_of_configs_that_stay_as_they_are_edited(made, photos):
    assert sum(made.crops.values()) == 9 and made.iters == dict.fromkeys(made.iters, 4)
    cfg = Config.fromfile(made.config("search"))
    assert cfg.test_evaluator[0].metrics[0].prefix == "photos"
    config = made.config("train")
    config.write_text(config.read_text() + "\n# mine\n")
    again = plan(photos, made.folder, hours=1e-9, mid_channels=8)
    assert config.read_text().endswith("# mine\n") and again.iters == made.iters


def test_a_budget_that_no_network_meets(made):
    with pytest.raises(ValueError, match=r"10 parameters are out of reach"):
        check_budget(made, Budget(Cost("params"), 10))


def test_everything_and_again(made, monkeypatch):
    """Search, training, baseline, table, report; the second time nothing is trained."""
    budget = Budget(Cost("params"), 20_000)
    report = auto(made, budget)
    rows = {row["model"]: row for row in json.loads((made.folder / "table.json").read_text())}
    assert set(rows) == {"bicubic", "Lanczos", "searched", "EDSR"}
    assert max(rows[name]["cost"] for name in ("searched", "EDSR")) <= 20_000
    text = report.read_text()
    assert "Nothing is shipped: the network does not beat interpolation" in text
    assert not (made.folder / "shipped").exists()
    for picture in ("side_by_side", "genotype", "curves"):
        assert f"({picture}.png)" in text
        assert cv2.imread(str(made.folder / f"{picture}.png")).std() > 1

    def train(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr("mmengine.runner.Runner.train", train)
    for row in rows.values():
        row["psnr"] += 100 * (row["model"] == "searched")
    monkeypatch.setattr(automatic, "_compared", lambda *_: list(rows.values()))
    monkeypatch.setattr(automatic, "export", lambda _, path, **__: f"{path} is exported")
    text = auto(made, budget).read_text()
    assert all(f"shipped/{name} is exported" in text for name in ("network.onnx", "network.pth"))
