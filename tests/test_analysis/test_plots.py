import json

import cv2
import numpy as np
import pytest

from mmsrnas.analysis.plots import (
    _worst_window,
    plot_crops,
    plot_curves,
    plot_tradeoff,
    read_scalars,
)


def drawn_share(path):
    """Share of the pixels of a picture that are not white."""
    return (cv2.imread(str(path)).min(axis=2) < 250).mean()


def test_crop_shows_the_largest_error():
    reference = np.zeros((40, 60, 3), np.uint8)
    other = reference.copy()
    other[23:28, 41:46] = 200
    other[5, 5] = 90
    y, x = _worst_window(reference, other, 5)
    assert (y, x) == (23, 41)


def test_scalars_of_the_last_run(tmp_path):
    for run, values in (("20260101_000000", [9.0]), ("20260102_000000", [3.0, 2.0])):
        folder = tmp_path / run / "vis_data"
        folder.mkdir(parents=True)
        lines = [
            json.dumps({"loss": value, "step": 10 * i, "note": "text"})
            for i, value in enumerate(values, start=1)
        ]
        (folder / "scalars.json").write_text("\n".join(lines) + "\n")
    scalars = read_scalars(tmp_path)
    assert scalars["loss"] == [(10, 3.0), (20, 2.0)]
    assert "note" not in scalars


def test_no_run_is_an_error_that_names_the_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=tmp_path.name):
        read_scalars(tmp_path)


def test_pictures_are_written(tmp_path):
    rng = np.random.default_rng(0)
    versions = {
        name: rng.integers(0, 256, (90, 100, 3), np.uint8) for name in ("HR", "bicubic", "net")
    }
    plot_crops([versions, versions], tmp_path / "crops.png", size=40)
    plot_curves({"loss": {"train": [(1, 2.0), (2, 1.0)]}}, tmp_path / "curves.png")
    rows = [
        {"model": "bicubic", "PSNR": 33.0},
        {"model": "net", "PSNR": 36.0, "multi_adds": 1e9, "params": 1000},
    ]
    plot_tradeoff(rows, "PSNR", tmp_path / "tradeoff.png")
    assert drawn_share(tmp_path / "crops.png") > 0.5
    assert drawn_share(tmp_path / "curves.png") > 0.01
    assert drawn_share(tmp_path / "tradeoff.png") > 0.01
