import csv

import numpy as np
import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmsrnas.analysis.compare import Bicubic, cost_of, evaluate, to_markdown, write_csv
from mmsrnas.datasets import imresize
from mmsrnas.models.dlsr import DLSRNet

ROWS = [
    {
        "model": "bicubic",
        "params": None,
        "multi_adds": None,
        "Set5/PSNR": 33.666,
        "Set5/SSIM": 0.93,
    },
    {
        "model": "net",
        "params": 1234567,
        "multi_adds": 12_346_000_000,
        "latency_ms": 12.34,
        "conditions": "a CPU, 1 thread",
        "Set5/PSNR": 38.0392,
        "Set5/SSIM": 0.96059,
    },
]


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


def test_bicubic_is_exact():
    image = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    enlarged = (Bicubic(2)(tensor)[0] * 255).round().byte().permute(1, 2, 0).numpy()
    assert np.array_equal(enlarged, imresize(image, 2))


def test_bicubic_on_set5_gives_the_published_number(real_images, test_cfg, tmp_path):
    test_cfg.test_dataloader[0].dataset.data_root = str(real_images / "bench/Set5")
    scores = evaluate(Bicubic(2), test_cfg, tmp_path)
    assert scores["smooth/PSNR"] == pytest.approx(33.67, abs=0.01)


def test_scores_of_a_network_that_knows_nothing(test_cfg, tmp_path):
    class Grey(nn.Module):
        def forward(self, x):
            return x.new_full((len(x), 3, 2 * x.shape[2], 2 * x.shape[3]), 128 / 255)

    scores = evaluate(Grey(), test_cfg, tmp_path)
    assert set(scores) == {"smooth/PSNR", "smooth/SSIM"}
    assert 5 < scores["smooth/PSNR"] < 20 < evaluate(Bicubic(2), test_cfg, tmp_path)["smooth/PSNR"]


def test_costs():
    costs = cost_of(DLSRNet("DLSR_TINY"), (48, 64), repeats=1, threads=1)
    assert costs["params"] == 56_268
    assert costs["multi_adds"] < 12.07e9 * 64 * 48 / (1280 * 720)
    assert 0 < costs["latency_ms"] < 10_000
    assert "1 thread" in costs["conditions"]
    assert "latency_ms" not in cost_of(DLSRNet("DLSR_TINY"), (48, 64), repeats=0)


def test_markdown_rounds_and_says_how_it_was_counted():
    table = to_markdown(ROWS, (720, 1280))
    assert "| model | Params | Multi-Adds | Set5/PSNR | Set5/SSIM | Latency |" in table
    assert "| net | 1,234,567 | 12.35 G | 38.04 | 0.9606 | 12 ms |" in table
    assert "| bicubic | - | - | 33.67 | 0.9300 | - |" in table
    assert "1280x720 output" in table
    assert "Latency: median, a CPU, 1 thread." in table


def test_csv_keeps_the_digits(tmp_path):
    write_csv(ROWS, tmp_path / "t.csv")
    with open(tmp_path / "t.csv", newline="") as file:
        bicubic, net = csv.DictReader(file)
    assert float(net["Set5/PSNR"]) == 38.0392
    assert bicubic["params"] == ""
