import copy
import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn

from mmsrnas.analysis import compare as module
from mmsrnas.analysis.compare import compare, cost_of, evaluate
from mmsrnas.analysis.contenders import Contender, classical, load_contenders, network_contender
from mmsrnas.apis import init_generator
from mmsrnas.datasets import read_image
from mmsrnas.latency import parse_target
from mmsrnas.models.dlsr import DLSRNet
from mmsrnas.registry import DATASETS


@pytest.fixture
def test_cfg(paired_images):
    """The test part of a config, on the folder of `paired_images`."""
    metrics = [
        dict(type=f"mmsrnas.{name}", crop_border=2, convert_to="Y", prefix="smooth")
        for name in ("PSNR", "SSIM")
    ]
    pipeline = [
        dict(type="LoadImageFromFile", key="img", channel_order="rgb"),
        dict(type="LoadImageFromFile", key="gt", channel_order="rgb"),
        dict(type="PackInputs"),
    ]
    dataset = dict(
        type="mmsrnas.PairedImageDataset",
        scale=2,
        data_root=str(paired_images),
        data_prefix=dict(img="LR_bicubic/X{scale}", gt="HR"),
        filename_tmpl=dict(img="{}x{scale}", gt="{}"),
        pipeline=pipeline,
    )
    loader = dict(
        num_workers=0, sampler=dict(type="DefaultSampler", shuffle=False), dataset=dataset
    )
    return Config(
        dict(
            test_cfg=dict(type="MultiTestLoop"),
            test_dataloader=[loader],
            test_evaluator=[dict(type="Evaluator", metrics=metrics)],
        )
    )


def network(run, scale=2, **options):
    return Contender("net", run, scale, **options)


def test_bicubic_on_set5_gives_the_published_number(real_images, test_cfg, tmp_path):
    test_cfg.test_dataloader[0].dataset.data_root = str(real_images / "bench/Set5")
    scores = evaluate(classical("bicubic", 2), test_cfg, tmp_path)
    assert scores["smooth/PSNR"] == pytest.approx(33.67, abs=0.01)


def test_scores_and_pictures_of_a_network_that_knows_nothing(test_cfg, tmp_path):
    class Grey(nn.Module):
        def forward(self, x):
            return x.new_full((len(x), 3, 2 * x.shape[2], 2 * x.shape[3]), 128 / 255)

    scores = evaluate(network(Grey()), test_cfg, tmp_path)
    assert set(scores) == {"smooth/PSNR", "smooth/SSIM"}
    bicubic = evaluate(classical("bicubic", 2), test_cfg, tmp_path)
    assert 5 < scores["smooth/PSNR"] < 20 < bicubic["smooth/PSNR"]
    made, truth = (sorted((tmp_path / "images" / n).glob("*.png")) for n in ("net", "HR"))
    names = ["000_000.png", "002_002.png", "005_005.png"]
    assert [path.name for path in made] == [path.name for path in truth] == names
    assert (read_image(made[0]) == 128).all()
    hr = Path(test_cfg.test_dataloader[0].dataset.data_root) / "HR/005.png"
    assert (read_image(truth[2]) == read_image(hr)).all()


def test_costs(tmp_path):
    target = parse_target("torch:cpu:1:24x32")
    tiny = network_contender("tiny", DLSRNet("DLSR_TINY"))
    costs = cost_of(tiny, (48, 64), target, max_spread=9)
    assert costs["params"] == 56_268
    assert costs["multi_adds"] < 12.07e9 * 64 * 48 / (1280 * 720)
    assert 0 < costs["latency_ms"] < 10_000
    assert costs["target"] == str(target)
    noisy = cost_of(tiny, (48, 64), target, max_spread=-1)
    assert "latency_ms" not in noisy and "varies by" in noisy["note"]
    file = network(nn.Identity(), costs_of=tmp_path / "a.onnx")
    assert "not measured on torch" in cost_of(file, (48, 64), target)["note"]
    assert cost_of(classical("bicubic", 2), (48, 64), target) == {}


DENOISE = """
model = dict(
    generator=dict(
        type="mmsrnas.HiNASNet", genotype="HINAS_DENOISE", task="denoise", upscale_factor=1,
        in_channels={channels}, mid_channels=4,
    ),
    data_preprocessor=dict(type="DataPreprocessor", mean=[0.0], std=[255.0]),
)
"""
TINY = """
model = dict(
    generator=dict(type="mmsrnas.DLSRNet", genotype="DLSR_TINY", mid_channels=8),
    data_preprocessor=dict(type="DataPreprocessor", mean=[0.0] * 3, std=[255.0] * 3),
)
"""


def trained(folder, name, text, change=None):
    """A config with its checkpoint, as :func:`load_contenders` takes them."""
    (folder / f"{name}.py").write_text(text)
    torch.manual_seed(0)
    net = init_generator(folder / f"{name}.py")
    state = {f"generator.{key}": value for key, value in net.state_dict().items()}
    if change is not None:
        state[next(iter(state))].fill_(change)
    torch.save({"state_dict": state}, folder / f"{name}.pth")
    return f"{folder}/{name}.py,{folder}/{name}.pth"


@pytest.fixture
def denoising_cfg(tmp_path, request):
    """Test part of a denoising config with noise that leaves 0..255, on one image."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, ::2] = 250
    image[20:] //= 2
    cv2.imwrite(str(tmp_path / "a.png"), image)
    cfg = Config.fromfile(
        request.config.rootpath / f"configs/_base_/datasets/bsd500_{request.param}.py"
    )
    loader = cfg.test_dataloader[0]
    loader.num_workers = 0
    loader.dataset.update(data_root=str(tmp_path), data_prefix=dict(img="", gt=""))
    return cfg


@pytest.mark.parametrize("denoising_cfg", ["color", "gray"], indirect=True)
def test_the_noisy_row_is_the_psnr_of_the_noisy_image(denoising_cfg, tmp_path):
    """Gray networks are counted and tested like those in colour."""
    dataset = denoising_cfg.test_dataloader[0].dataset
    with DefaultScope.overwrite_default_scope("mmagic"):
        item = DATASETS.build(dataset)[0]
    clean = item["data_samples"].gt_img.float()
    assert item["inputs"].min() < 0 and item["inputs"].max() > 255
    error = item["inputs"].clamp(0, 255).round() - clean
    expected = 10 * np.log10(255**2 / error.square().mean().item())
    models = load_contenders([trained(tmp_path, "net", DENOISE.format(channels=len(clean)))])
    noisy, net = compare(models, denoising_cfg, tmp_path / "out", (48, 64)).rows
    assert noisy["model"] == "noisy"
    assert noisy["BSD500/PSNR"] == pytest.approx(expected, abs=1e-3)
    assert net["multi_adds"] > 0


def test_every_row_is_on_disk_when_it_is_known(test_cfg, tmp_path, monkeypatch):
    """One network that fails and one that is killed leave the rows of the others."""
    names = ("first", "broken", "slow")
    models = load_contenders([trained(tmp_path, name, TINY) for name in names])
    monkeypatch.setattr(module, "plot_tradeoff", lambda rows, metric, path: path.touch())
    seen = []

    def evaluate(*_):
        seen.append(len(seen))
        table = tmp_path / "out/table.csv"
        rows = list(csv.DictReader(table.open())) if table.is_file() else []
        assert [row["model"] for row in rows] == ["bicubic", "first"][: len(seen) - 1]
        if len(seen) == 3:
            raise RuntimeError("cannot run")
        if len(seen) == 4:
            raise KeyboardInterrupt
        return {"smooth/PSNR": 30.0 + len(seen), "smooth/SSIM": 0.9}

    monkeypatch.setattr(module, "evaluate", evaluate)
    with pytest.raises(KeyboardInterrupt):
        compare(models, test_cfg, tmp_path / "out", (64, 64))
    assert "broken is missing: RuntimeError: cannot run" in (tmp_path / "out/table.md").read_text()

    def again(*_):
        seen.append("again")
        return {"smooth/PSNR": 40.0, "smooth/SSIM": 0.9}

    monkeypatch.setattr(module, "evaluate", again)
    result = compare(models, test_cfg, tmp_path / "out", (64, 64), resume=True)
    assert seen.count("again") == 2  # what is known is taken over
    assert [row["smooth/PSNR"] for row in result.rows] == [31.0, 32.0, 40.0, 40.0]
    assert [row["model"] for row in result.rows] == ["bicubic", "first", "broken", "slow"]
    assert not result.failures


def test_rows_of_other_weights_or_images_are_not_taken_over(test_cfg, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(module, "plot_tradeoff", lambda rows, metric, path: path.touch())
    monkeypatch.setattr(
        module, "evaluate", lambda *_: calls.append(0) or {"smooth/PSNR": 30.0 + len(calls)}
    )

    def count(**options):
        calls.clear()
        cfg = options.pop("cfg", test_cfg)
        options = dict(resume=True) | options
        compare(models, cfg, tmp_path / "out", options.pop("hr_size", (64, 64)), **options)
        return len(calls)

    models = load_contenders([trained(tmp_path, "net", TINY)])
    assert count() == 2
    assert count() == 0
    assert count(resume=False) == 2
    assert count(hr_size=(64, 96)) == 2
    models = load_contenders([trained(tmp_path, "net", TINY, change=0.5)])
    assert count() == 1
    image = next(Path(test_cfg.test_dataloader[0].dataset.data_root).glob("HR/*.png"))
    image.write_bytes(image.read_bytes() + b"x")
    assert count() == 2
    other = copy.deepcopy(test_cfg)
    other.test_evaluator[0].metrics[0].crop_border = 3
    assert count(cfg=other) == 2


def test_a_network_that_returns_nan_is_named(test_cfg, tmp_path):
    class Nan(nn.Module):
        def forward(self, x):
            return x.new_full((len(x), 3, 2 * x.shape[2], 2 * x.shape[3]), torch.nan)

    with pytest.raises(FloatingPointError, match="smooth/PSNR"):
        evaluate(network(Nan()), test_cfg, tmp_path)
