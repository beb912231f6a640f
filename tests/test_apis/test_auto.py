"""From photographs and a budget to a network, in the smallest size."""

import contextlib
import json
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.runner import IterBasedTrainLoop
from tiny_search import Killed

pytest.importorskip("pymoo")  # which selects the front of the default method

from mmsrnas.analysis.plots import read_scalars
from mmsrnas.apis.auto import Budget, auto, configs, dlsr, elastic, handmade, plan, planning, search
from mmsrnas.apis.auto import run as running
from mmsrnas.apis.auto.comparison import compared, psnr_of
from mmsrnas.apis.auto.handmade import handmade_networks
from mmsrnas.apis.auto.training import train_run
from mmsrnas.apis.inference import load_model
from mmsrnas.apis.photographs import inspect_photographs, split
from mmsrnas.costs import Cost
from mmsrnas.genotypes import load_genotype
from mmsrnas.latency.runtimes.torch_runtime import torch_threads
from mmsrnas.models.elastic.cost import ChainCost
from mmsrnas.registry import MODELS


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


BUDGET = Budget(Cost("params"), 20_000)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "other"}, "--method: expected one of elastic, dlsr"),
        ({"task": "deblur"}, "--task: expected one of sr, denoise"),
        ({"task": "denoise", "method": "dlsr"}, "--task denoise: only --method elastic"),
        ({"control": True, "method": "dlsr"}, "--control: only --method elastic"),
        ({"scale": 5}, "--scale: expected one of 2, 3, 4"),
        ({"hours": 0}, "--hours: expected a positive number"),
        ({"sigma": 0}, "--sigma: expected a number in"),
        ({"budget": Budget(Cost("params"), 10)}, "10 parameters are out of reach"),
    ],
)
def test_arguments_without_a_meaning(photos, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        plan(photos, tmp_path / "out", **{"budget": BUDGET, **options})


def test_too_little_data(tmp_path):
    with pytest.raises(FileNotFoundError, match="PHOTOS: no folder"):
        plan(tmp_path / "nowhere", tmp_path / "out", BUDGET)
    for i in range(5):
        cv2.imwrite(str(tmp_path / f"p{i}x.png"), photograph(i))
    with pytest.raises(ValueError, match="PHOTOS: 5 different photographs can be used"):
        plan(tmp_path, tmp_path / "out", BUDGET)


@pytest.mark.parametrize(
    ("limit", "widths", "inside"),
    [(3_000, [8], True), (20_000, [16, 24], True), (1e9, [64, 96, 128], False)],
)
def test_the_space_is_around_the_budget(limit, widths, inside):
    """As far as there are widths for it."""
    budget = Budget(Cost("params"), limit)
    space = MODELS.build(elastic.plan_search(budget, 2, 0).model["generator"]).space
    assert list(space.mid_channels) == widths
    cost = ChainCost(budget.cost)
    tokens = space.sandwich(0)
    largest, smallest = (cost(space.decode(row)) for row in tokens)
    assert smallest < limit
    assert (largest > 1.2 * limit) == inside


def test_handmade_networks_use_the_budget():
    found = handmade_networks(BUDGET, 2)
    assert set(found) == {"compact", "edsr"}
    for config in found.values():
        assert max(config.get("num_convs", 0), config.get("num_blocks", 0)) >= 4
        assert 0.8 * BUDGET.limit < BUDGET.cost(MODELS.build(config)) <= BUDGET.limit
    assert set(handmade_networks(BUDGET, 1)) == {"compact"}


def test_a_narrow_chain_rather_than_a_single_convolution():
    found = handmade_networks(Budget(Cost("params"), 2_800), 2)["compact"]
    assert (found["num_convs"], found["mid_channels"]) == (8, 4)


@pytest.mark.parametrize(("params", "convs", "width"), [(24_500, 8, 16), (45_000, 8, 24)])
def test_no_hand_made_chain_is_narrow_for_its_depth(params, convs, width, monkeypatch):
    monkeypatch.setattr(handmade, "CHANNELS_PER_CONV", 0)
    budget = Budget(Cost("params"), params)
    assert handmade_networks(budget, 2)["compact"]["num_convs"] == 16  # at most 16 channels
    monkeypatch.undo()
    found = handmade_networks(budget, 2)["compact"]
    assert found["num_convs"] == convs and abs(found["mid_channels"] - width) <= 2


@pytest.fixture
def tiny(monkeypatch):
    """Trainings of four iterations with one patch each, and few networks that are judged."""
    monkeypatch.setattr(configs, "BATCH", 1)
    monkeypatch.setattr(search, "EVALUATIONS", 3)
    monkeypatch.setattr(dlsr, "MID_CHANNELS", 8)


def small_plan(photos, out, **options):
    return plan(photos, out, BUDGET, hours=1e-9, **options)


def test_plan_is_a_folder_of_configs_that_stay_as_they_are_edited(photos, tmp_path, tiny):
    made = small_plan(photos, tmp_path / "auto")
    assert sum(made.crops.values()) == 9 and made.iters == dict.fromkeys(made.iters, 4)
    assert "Budget: 20,000 parameters. Search, elastic: chains of" in str(
        made
    ) and "compact (" in str(made)
    cfg = Config.fromfile(made.config("search"))
    assert cfg.test_evaluator[0].metrics[0].prefix == "photos"
    config = made.config("train")
    config.write_text(config.read_text() + "\n# mine\n")
    made.config("finetune").unlink()  # a kill between two files
    again = small_plan(photos, made.folder)
    assert config.read_text().endswith("# mine\n") and again == made
    assert made.config("finetune").is_file()
    with pytest.raises(ValueError, match=r"holds a plan whose seed is 0, not 1. Take another"):
        small_plan(photos, made.folder, seed=1)


def test_everything_in_spite_of_kills_and_again(photos, tmp_path, tiny, monkeypatch):
    """Every kind of stage is killed once in its middle; what is done is not done again."""
    made = small_plan(photos, tmp_path / "auto", control=True)
    kills, ends = [], []
    train, step = IterBasedTrainLoop.run, IterBasedTrainLoop.run_iter
    derive_network = elastic.derive_network

    def killed_once(key):
        if key in ("search", "train", "derive", "trials") and key not in kills:
            kills.append(key)
            raise Killed

    def run_iter(self, batch):
        step(self, batch)
        if self._iter == 2:
            folder = Path(self.runner.work_dir).relative_to(made.folder)
            killed_once(folder.parts[0].replace("finetune", "train"))

    def run(self):
        train(self)
        ends.append(self.runner.work_dir)

    def derive(*args):
        text = derive_network(*args)
        killed_once("derive")
        return text

    monkeypatch.setattr(IterBasedTrainLoop, "run_iter", run_iter)
    monkeypatch.setattr(IterBasedTrainLoop, "run", run)
    monkeypatch.setattr(elastic, "derive_network", derive)
    report = None
    while report is None:
        with contextlib.suppress(Killed):
            report = auto(made, BUDGET)
    assert kills == ["search", "derive", "trials", "train"]
    assert len(ends) == len(set(ends)) == 7  # a search, two trials, four trainings
    rows = {row["model"]: row for row in json.loads((made.folder / "table.json").read_text())}
    handmade = set(map(made.label, ("compact", "edsr")))
    assert set(rows) == {"bicubic", "lanczos", "searched", "random"} | handmade
    assert all(row.get("params", 0) <= BUDGET.limit for row in rows.values())
    chosen = [load_genotype(made.folder / f"{name}.json") for name in ("genotype", "random")]
    assert chosen[0] != chosen[1]
    assert load_model(made.folder / "random.pth").network.genotype == chosen[1]
    text = report.read_text()
    best = max(handmade, key=lambda name: psnr_of(rows[name]))
    assert f"against {best} of the same budget, the best hand-made network" in text
    assert "Nothing is shipped" in text and not (made.folder / "shipped").exists()
    for picture in ("test/crops", "test/tradeoff", "genotype", "curves", "front/front"):
        assert f"({picture}.png)" in text
        assert cv2.imread(str(made.folder / f"{picture}.png")).std() > 1
    rows["searched"]["photos/PSNR"] += 100
    monkeypatch.setattr(running, "compared", lambda *_: list(rows.values()))
    monkeypatch.setattr(running, "export", lambda _, path, **__: f"{path} is exported")
    text = auto(made, BUDGET).read_text()
    assert all(f"shipped/{name} is exported" in text for name in ("network.onnx", "network.pth"))
    assert len(ends) == 7, "trained again"


def test_a_plan_without_a_control_trains_the_handmade_network_of_the_better_trial(
    photos, tmp_path, tiny, monkeypatch
):
    made = small_plan(photos, tmp_path / "auto")
    trials = {name: float(name in ("edsr", "finetune")) for name in made.models}
    monkeypatch.setattr(
        running, "chosen_by_trial",
        lambda _, names, __: {n: trials[n] for n in sorted(names, key=lambda n: -trials[n])},
    )  # fmt: skip
    trained = []

    def train(config, folder, *_):
        trained.append(folder.name)
        return folder

    rows = [{"model": name, "photos/PSNR": 30.0} for name in ("bicubic", "searched")]
    monkeypatch.setattr(running, "train_run", train)
    monkeypatch.setattr(running, "_derived", lambda *_: "A network.")
    monkeypatch.setattr(running, "compared", lambda *_: rows)
    monkeypatch.setattr(running, "write_report", lambda plan, budget, result: result)
    assert auto(made, BUDGET).trainings == ("search", "finetune", "edsr")
    assert trained == ["search", "finetune", "edsr"]


def test_the_time_of_a_step_is_that_of_the_fastest_number_of_threads(monkeypatch):
    taken = {1: 2.0, 2: 1.0, 4: 3.0, 8: 9.0}
    monkeypatch.setattr(planning.torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(planning, "get_device", lambda: "cpu")
    used = []
    monkeypatch.setattr(planning, "torch_threads", lambda n: contextlib.nullcontext(used.append(n)))
    monkeypatch.setattr(planning, "_step_of", lambda model, _: model)
    monkeypatch.setattr(
        planning, "_seconds_per_step", lambda steps, _: dict.fromkeys(steps, taken[used[-1]])
    )
    models = {"search": {}, "train": {}}
    assert planning._fastest(models, {}) == (2, {"search": 1.0, "train": 1.0})
    assert used == [1, 2, 4, 8, 2]
    monkeypatch.setattr(planning, "get_device", lambda: "cuda")  # which computes there
    assert planning._fastest(models, {}) == (8, {"search": 9.0, "train": 9.0})


def test_steps_are_timed_in_turns_and_the_first_does_not_count(monkeypatch):
    clock, calls = iter(range(1000)), []
    monkeypatch.setattr(planning.time, "perf_counter", lambda: next(clock))
    steps = {name: (lambda name=name: calls.append(name)) for name in "ab"}
    assert planning._seconds_per_step(steps, 4) == {"a": 1, "b": 1}
    assert calls == ["a", "b"] * 4


def test_a_step_is_timed_where_the_training_runs(monkeypatch):
    editor, loss = MagicMock(), torch.tensor(0.5)
    editor.train.return_value = editor.to.return_value = editor
    editor.train_step.return_value = {"loss": loss}
    monkeypatch.setattr(planning, "get_device", lambda: "cuda")
    monkeypatch.setattr(planning, "MODELS", MagicMock(build=lambda _: editor))
    monkeypatch.setattr(planning, "build_optim_wrapper", lambda *_: "wrapper")
    monkeypatch.setattr(planning, "Runner", MagicMock(build_dataloader=lambda *_, **__: ["batch"]))
    step = planning._step_of({"generator": {"type": "mmsrnas.DLSRNet"}}, {})
    editor.to.assert_called_once_with("cuda")
    step()
    editor.train_step.assert_called_once_with("batch", "wrapper")


def test_runs_of_one_second_have_logs_of_their_own(photos, tmp_path, tiny, monkeypatch):
    stopped = SimpleNamespace(time=lambda: 1e9, strftime=time.strftime, localtime=time.localtime)
    monkeypatch.setattr("mmengine.runner.runner.time", stopped)
    made = small_plan(photos, tmp_path / "auto")
    folders = [made.folder / "trials/compact", made.folder / "compact"]
    for folder in folders:
        train_run(made.config("compact"), folder)
        assert read_scalars(folder)["loss"]
    # The one that began first has not gone on in the other's.
    files = [list(folder.glob("*/vis_data/scalars.json")) for folder in folders]
    assert [len(found) for found in files] == [1, 1]


def test_a_plan_is_done_with_its_threads(photos, tmp_path, tiny, monkeypatch):
    made = replace(small_plan(photos, tmp_path / "auto"), threads=1)
    monkeypatch.setattr(running, "_auto", lambda *_: torch.get_num_threads())
    before = torch.get_num_threads()
    with torch_threads(2):
        assert auto(made, BUDGET) == 1 and torch.get_num_threads() == 2
    assert torch.get_num_threads() == before


def test_a_denoiser(photos, tmp_path, tiny):
    made = small_plan(photos, tmp_path / "auto", task="denoise", sigma=30)
    assert made.handmade == ["compact"]
    network = train_run(made.config("compact"), made.folder / "compact")
    rows = compared(made, BUDGET, {"compact": network})
    noisy, cleaned, _ = map(psnr_of, rows)
    assert [row["model"] for row in rows] == ["noisy", "nlm", "compact"]
    assert noisy == pytest.approx(20 * np.log10(255 / 30), abs=0.5) and cleaned > noisy


def dlsr_net(genotype):
    return MODELS.build(dict(type="mmsrnas.DLSRNet", genotype=genotype))


def test_dlsr_within_the_budget(photos, tmp_path, tiny):
    made = small_plan(photos, tmp_path / "auto", method="dlsr")
    config = Config.fromfile(made.config("search"))
    space = MODELS.build(config.model.generator).space
    middle = space.decode([1] * len(space.sizes))  # 3x3 convolutions alone
    assert middle.ops == ("conv_3x3",) * 3
    assert 0.9 * BUDGET.limit < BUDGET.cost(dlsr_net(middle)) <= BUDGET.limit
    search = train_run(made.config("search"), made.folder / "search")
    text = dlsr.derive_network(made, config, search, BUDGET)
    assert text.startswith("Of 3 networks")
    judged = (made.folder / "front/judged.csv").read_text().splitlines()
    assert len(judged) == 1 + 3
    network = MODELS.build(Config.fromfile(made.config("train")).model.generator)
    assert BUDGET.cost(network) <= BUDGET.limit and network.img_range == dlsr.IMG_RANGE


@pytest.mark.parametrize(
    ("generator", "expected"),
    [
        (
            dict(type="mmsrnas.ElasticSupernet", num_cells=(1,), mid_channels=(4,)),
            {"head", "anchor"},
        ),
        (
            dict(type="mmsrnas.CompactNet", mid_channels=4, num_convs=2, anchor="linear"),
            {"body.6", "anchor"},
        ),
        (dict(type="EDSRNet", in_channels=3, out_channels=3, mid_channels=4), set()),
    ],
    ids=["elastic", "compact", "edsr"],
)
def test_what_makes_the_image_learns_slower(generator, expected):
    editor = MODELS.build(configs.editor(dict(type="BaseEditModel", generator=generator)))
    optimizer = build_optim_wrapper(editor, configs.optimizer(generator, 1.0)).optimizer
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    slow = {
        name.rpartition(".")[0]
        for name, parameter in editor.generator.named_parameters()
        if rates[id(parameter)] == 1 / 16
    }
    assert slow == expected and set(rates.values()) == ({1, 1 / 16} if expected else {1})
    outputs = [name for name, module in editor.generator.named_modules() if name in expected]
    assert len(outputs) == len(expected)
