import os
import runpy
import sys
import tarfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmsrnas.datasets import imresize
from mmsrnas.datasets.prepare import obtain_folder, write_lr_images
from mmsrnas.registry import DATASETS

ROOT = Path(__file__).parents[2]
NAMES = {"img": "{}x{scale}", "gt": "{}"}


@pytest.fixture
def run(monkeypatch):
    """Runs a converter with arguments in this process."""

    def run_script(script, *args):
        path = str(ROOT / f"tools/dataset_converters/{script}.py")
        monkeypatch.setattr(sys, "argv", [path, *map(str, args), "--jobs=1"])
        runpy.run_path(path, run_name="__main__")

    return run_script


def write_images(folder, names, size=(26, 31)):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in names:
        cv2.imwrite(str(folder / name), rng.integers(0, 256, (*size, 3), np.uint8))


def pairs(root, scale, img, gt, names=NAMES):
    pipeline = [{"type": "LoadImageFromFile", "key": key} for key in ("img", "gt")]
    return DATASETS.build(
        {
            "type": "mmsrnas.PairedImageDataset",
            "_scope_": "mmagic",
            "scale": scale,
            "data_root": str(root),
            "data_prefix": {"img": img, "gt": gt},
            "filename_tmpl": names,
            "pipeline": [*pipeline, {"type": "ModCrop", "key": "gt"}],
        }
    )


@pytest.fixture
def photos(tmp_path):
    write_images(tmp_path / "photos", ["a.jpg", "b.png", "c.bmp"])
    return tmp_path / "photos"


def test_folder_in_the_papers_layout(run, photos, tmp_path):
    run("prepare_folder", photos, tmp_path / "out", "--scales", 2, 3)
    for scale in (2, 3):
        dataset = pairs(tmp_path / "out", scale, "LR_bicubic/X{scale}", "HR")
        assert [item["key"] for item in dataset] == ["a", "b", "c"]
        for item in dataset:
            assert np.array_equal(imresize(item["gt"], 1 / scale), item["img"])
    whole = cv2.imread(str(tmp_path / "out/HR/b.png"))
    assert np.array_equal(whole, cv2.imread(str(photos / "b.png")))


def test_folder_in_the_layout_of_mmagic(run, photos, tmp_path):
    run("prepare_folder", photos, tmp_path / "out", "--scales", 4, "--layout", "mmagic")
    for item in pairs(tmp_path / "out", 4, "LRbicx4", "GTmod12", names=None):
        assert item["gt"].shape == (24, 24, 3)
        assert np.array_equal(imresize(item["gt"], 1 / 4), item["img"])


def test_unreadable_images_are_all_named_and_the_rest_is_kept(run, photos, tmp_path):
    (photos / "b.png").write_bytes(b"no image")
    (photos / "d.png").write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"2 images .*b.png cannot be read; .*d.png cannot be read"
    ):
        run("prepare_folder", photos, tmp_path / "out", "--scales", 2)
    assert sorted(os.listdir(tmp_path / "out/HR")) == ["a.png", "c.png"]


def test_a_second_run_only_adds_what_is_missing(photos, tmp_path):
    write_lr_images(photos, tmp_path / "lr", 2)
    kept, lost = tmp_path / "lr/ax2.png", tmp_path / "lr/bx2.png"
    stamp, content = kept.stat().st_mtime_ns, lost.read_bytes()
    lost.unlink()
    write_lr_images(photos, tmp_path / "lr", 2)
    assert kept.stat().st_mtime_ns == stamp
    assert lost.read_bytes() == content


def test_names_that_would_collide(photos, tmp_path):
    (photos / "a.png").write_bytes((photos / "b.png").read_bytes())
    with pytest.raises(ValueError, match="several images named a"):
        write_lr_images(photos, tmp_path / "lr", 2)


def test_empty_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no image .* in "):
        write_lr_images(tmp_path, tmp_path / "lr", 2)


def test_benchmarks_from_the_archive_of_edsr(run, tmp_path):
    write_images(tmp_path / "benchmark/Set5/HR", [f"{i}.png" for i in range(5)])
    (tmp_path / "downloads").mkdir()
    with tarfile.open(tmp_path / "downloads/benchmark.tar", "w") as archive:
        archive.add(tmp_path / "benchmark", "benchmark")
    args = [tmp_path / "downloads", "--out", tmp_path / "data", "--scales", 2]
    with pytest.raises(SystemExit, match="Set14, B100, Urban100, Manga109"):
        run("prepare_benchmarks", *args)
    assert len(pairs(tmp_path / "data/Set5", 2, "LR_bicubic/X{scale}", "HR")) == 5
    run("prepare_benchmarks", *args, "--sets", "Set5")


def test_benchmark_with_an_image_too_few(run, tmp_path):
    write_images(tmp_path / "Set5", [f"{i}.png" for i in range(4)])
    with pytest.raises(SystemExit, match=r"Set5 has 5 images, but .* holds 4"):
        run("prepare_benchmarks", tmp_path, "--out", tmp_path / "data", "--sets", "Set5")


def test_div2k_and_df2k(run, tmp_path):
    """Archives with the right numbers of images, 12x12 pixels each."""
    downloads = tmp_path / "downloads"
    write_images(tmp_path / "DIV2K_train_HR", [f"{i:04}.png" for i in range(1, 801)], (12, 12))
    write_images(downloads / "DIV2K_valid_HR", [f"{i:04}.png" for i in range(801, 901)], (12, 12))
    lr = tmp_path / "lr/DIV2K_train_LR_bicubic/X2"
    write_lr_images(tmp_path / "DIV2K_train_HR", lr, 2)
    for name, folder in {
        "DIV2K_train_HR": tmp_path / "DIV2K_train_HR",
        "DIV2K_train_LR_bicubic_X2": tmp_path / "lr/DIV2K_train_LR_bicubic",
    }.items():
        with zipfile.ZipFile(downloads / f"{name}.zip", "w") as archive:
            for path in folder.rglob("*.png"):
                archive.write(path, path.relative_to(folder.parent))
    flickr = [f"{i:06}.png" for i in range(1, 2651)]
    write_images(downloads / "Flickr2K/Flickr2K_HR", flickr, (12, 12))

    div2k, df2k = tmp_path / "data/DIV2K", tmp_path / "data/DF2K"
    run("prepare_div2k", downloads, "--out", div2k, "--scales", 2, 3)
    for scale in (2, 3):
        for part, count in (("train", 800), ("valid", 100)):
            folders = [f"DIV2K_{part}_LR_bicubic/X{{scale}}", f"DIV2K_{part}_HR"]
            assert len(pairs(div2k, scale, *folders)) == count
    assert (div2k / "DIV2K_train_LR_bicubic/X2").is_symlink()  # the official images

    run("prepare_df2k", downloads, "--div2k", div2k, "--out", df2k, "--scales", 2)
    assert len(pairs(df2k, 2, "DF2K_train_LR_bicubic/X{scale}", "DF2K_train_HR")) == 3450


def test_missing_download_is_named(run, tmp_path):
    with pytest.raises(SystemExit, match=r"Neither DIV2K_train_HR nor"):
        run("prepare_div2k", tmp_path, "--out", tmp_path / "data")


def test_interrupted_unpacking_starts_again(tmp_path):
    write_images(tmp_path / "Set5", ["a.png"])
    with zipfile.ZipFile(tmp_path / "Set5.zip", "w") as archive:
        archive.write(tmp_path / "Set5/a.png", "Set5/a.png")
    (tmp_path / "Set5/a.png").unlink()
    (tmp_path / "Set5").rmdir()
    (tmp_path / "out/unpacked/Set5.zip.part/Set5").mkdir(parents=True)
    assert obtain_folder("Set5", ["Set5.zip"], tmp_path, tmp_path / "out")
    assert (tmp_path / "out/Set5/a.png").is_file()


def test_sub_images_cover_the_image_in_both_sizes(run, tmp_path):
    write_images(tmp_path / "HR", ["a.png"], (40, 58))
    write_lr_images(tmp_path / "HR", tmp_path / "LR/X2", 2)
    args = ["--scale", 2, "--size", 24, "--step", 12]
    run("extract_sub_images", tmp_path / "HR", tmp_path / "LR/X2", *args)
    dataset = pairs(tmp_path, 2, "LR/X{scale}_sub", "HR_sub", names=None)
    hr, lr = (cv2.imread(str(tmp_path / name)) for name in ("HR/a.png", "LR/X2/ax2.png"))
    corners = [(y, x) for y in (0, 12, 16) for x in (0, 12, 24, 34)]
    assert [item["key"] for item in dataset] == [f"a_s{i:03}" for i in range(1, 13)]
    for item, (y, x) in zip(dataset, corners, strict=True):
        assert np.array_equal(item["gt"], hr[y : y + 24, x : x + 24])
        assert np.array_equal(item["img"], lr[y // 2 : y // 2 + 12, x // 2 : x // 2 + 12])
