import os
import runpy
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mmsrnas.datasets import imresize, prepare, read_image
from mmsrnas.datasets.prepare import extract_sub_images, write_lr_images, write_pairs
from mmsrnas.registry import DATASETS

ROOT = Path(__file__).parents[2]
NAMES = {"img": "{}x{scale}", "gt": "{}"}


@pytest.fixture
def run(monkeypatch):
    """Runs a converter with arguments in this process."""

    def run_script(script, *args, **constants):
        path = str(ROOT / f"tools/dataset_converters/{script}.py")
        monkeypatch.setattr(sys, "argv", [path, *map(str, args), "--jobs=1"])
        code = runpy.run_path(path)
        code["main"].__globals__.update(constants)
        code["main"]()

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
        ValueError, match=r"2 images .*cannot read image .*b.png: .*cannot read image .*d.png: "
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
    with pytest.raises(FileNotFoundError, match=r"no image in "):
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
    """Archives with a hundredth of the images, 12x12 pixels each."""
    downloads = tmp_path / "downloads"
    write_images(tmp_path / "DIV2K_train_HR", [f"{i:04}.png" for i in range(1, 9)], (12, 12))
    write_images(downloads / "DIV2K_valid_HR", ["0801.png"], (12, 12))
    lr = tmp_path / "lr/DIV2K_train_LR_bicubic/X2"
    lr.mkdir(parents=True)
    for path in (tmp_path / "DIV2K_train_HR").iterdir():
        image = imresize(cv2.imread(str(path)), 1 / 2)
        cv2.imwrite(str(lr / f"{path.stem}x2.png"), image)
    for name, folder in {
        "DIV2K_train_HR": tmp_path / "DIV2K_train_HR",
        "DIV2K_train_LR_bicubic_X2": tmp_path / "lr/DIV2K_train_LR_bicubic",
    }.items():
        with zipfile.ZipFile(downloads / f"{name}.zip", "w") as archive:
            for path in folder.rglob("*.png"):
                archive.write(path, path.relative_to(folder.parent))
    flickr = [f"{i:06}.png" for i in range(1, 28)]
    write_images(downloads / "Flickr2K/Flickr2K_HR", flickr, (12, 12))

    div2k, df2k = tmp_path / "data/DIV2K", tmp_path / "data/DF2K"
    args = ["--out", div2k, "--scales", 2, 3]
    with pytest.raises(SystemExit, match=r"DIV2K_train_HR has 800 images, but .* holds 8"):
        run("prepare_div2k", downloads, *args)
    counts = {"train": 8, "valid": 1}
    for _ in range(2):
        run("prepare_div2k", downloads, *args, COUNTS=counts)
    for scale in (2, 3):
        for part, count in counts.items():
            folders = [f"DIV2K_{part}_LR_bicubic/X{{scale}}", f"DIV2K_{part}_HR"]
            assert len(pairs(div2k, scale, *folders)) == count
    assert (div2k / "DIV2K_train_LR_bicubic/X2").is_symlink()  # the official images

    args = ["--div2k", div2k, "--out", df2k, "--scales", 2]
    counts = {"DIV2K_train_HR": 8, "Flickr2K_HR": 27}
    for _ in range(2):
        run("prepare_df2k", downloads, *args, COUNTS=counts)
    assert len(pairs(df2k, 2, "DF2K_train_LR_bicubic/X{scale}", "DF2K_train_HR")) == 35


def test_missing_download_is_named(run, tmp_path):
    with pytest.raises(SystemExit, match=r"Neither DIV2K_train_HR nor"):
        run("prepare_div2k", tmp_path, "--out", tmp_path / "data")


def test_a_replaced_photograph_is_converted_again(photos, tmp_path):
    write_pairs(photos, tmp_path / "out", [2])
    names = ("HR/a.png", "LR_bicubic/X2/ax2.png", "HR/b.png")
    stamps = [(tmp_path / "out" / name).stat().st_mtime_ns for name in names]
    shutil.copy(photos / "c.bmp", photos / "a.jpg")  # another picture under the old name
    write_pairs(photos, tmp_path / "out", [2])
    new = [(tmp_path / "out" / name).stat().st_mtime_ns for name in names]
    assert [x != y for x, y in zip(stamps, new, strict=True)] == [True, True, False]
    hr, lr = (read_image(tmp_path / "out" / name) for name in names[:2])
    assert np.array_equal(hr, read_image(photos / "c.bmp"))
    assert np.array_equal(lr, imresize(hr[:26, :30], 1 / 2))


def test_other_parameters_are_converted_again(photos, tmp_path):
    """Both layouts may lie in folders of one name; here the crop to multiples of 12 differs."""
    fold = [("HR/{name}.png", mod, 1) for mod in (1, 12)]
    for target in fold:
        prepare._convert_all(photos, tmp_path / "out", [target], 1, 2**20)
    assert read_image(tmp_path / "out/HR/b.png").shape == (24, 24, 3)


def test_what_the_converter_did_not_make_is_not_overwritten(photos, tmp_path):
    (tmp_path / "lr").mkdir()
    shutil.copy(photos / "b.png", tmp_path / "lr/ax2.png")
    before = (tmp_path / "lr/ax2.png").read_bytes()
    with pytest.raises(ValueError, match=r"ax2.png was not made by this converter; move it away"):
        write_lr_images(photos, tmp_path / "lr", 2)
    assert (tmp_path / "lr/ax2.png").read_bytes() == before
    assert (tmp_path / "lr/bx2.png").is_file()


def test_hr_images_that_lie_in_place_stay_untouched(tmp_path):
    write_images(tmp_path / "set/HR", ["a.png"])
    before = (tmp_path / "set/HR/a.png").read_bytes()
    write_pairs(tmp_path / "set/HR", tmp_path / "set", [2])
    assert (tmp_path / "set/HR/a.png").read_bytes() == before
    assert (tmp_path / "set/LR_bicubic/X2/ax2.png").is_file()


def test_every_file_that_is_left_out_is_named(run, photos, tmp_path, capsys):
    image = Image.open(photos / "b.png")
    for name in ("d.webp", "e.PnG"):
        image.save(photos / name, format="webp" if "webp" in name else "png")
    for name in ("f.gif", "g.jp2"):
        image.save(photos / name)
    (photos / "sub").mkdir()
    image.save(photos / "sub/h.png")
    (photos / "notes.txt").touch()
    (photos / "loop").symlink_to(photos, target_is_directory=True)
    run("prepare_folder", photos, tmp_path / "out", "--scales", 2)
    assert sorted(os.listdir(tmp_path / "out/HR")) == [f"{n}.png" for n in "abcde"]
    lines = [line for line in capsys.readouterr().out.splitlines() if "Left out" in line]
    named = ("f.gif", "g.jp2", "sub/h.png", "notes.txt", "loop")
    assert len(lines) == len(named)
    assert all(any(f"photos/{name}" in line for line in lines) for name in named)
    (photos / "a.jpg").unlink()
    run("prepare_folder", photos, tmp_path / "out", "--scales", 2)
    assert "HR/a.png was made from an image that is gone" in capsys.readouterr().out


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_name_that_is_not_utf8_is_named_and_the_rest_is_converted(photos, tmp_path, jobs):
    name = os.fsdecode(b"caf\xe9.png")
    try:
        shutil.copy(photos / "b.png", photos / name)
    except OSError:
        pytest.skip("the file system takes UTF-8 only")
    (photos / "dead.png").symlink_to("nowhere")
    with pytest.raises(
        ValueError, match=r"caf.xe9.png: the name is not UTF-8.*dead.png is no file"
    ):
        write_lr_images(photos, tmp_path / "lr", 2, jobs)
    assert len(os.listdir(tmp_path / "lr")) == 3


def test_a_process_that_dies_is_an_error_and_no_endless_wait(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(prepare, "read_image", lambda path, **_: os._exit(1))
    with pytest.raises(RuntimeError, match=r"died while it converted one of .*photos/.*--jobs 1"):
        write_lr_images(photos, tmp_path / "lr", 2, jobs=2)


def test_downloaded_lr_images_are_checked_and_kept(photos, tmp_path):
    (photos / "a.jpg").unlink()
    write_lr_images(photos, tmp_path / "lr", 2)
    for hr in photos.iterdir():  # as from elsewhere: no fingerprint, the ending of HR
        lr = tmp_path / f"lr/{hr.stem}x2.png"
        cv2.imwrite(str(tmp_path / f"lr/{hr.stem}x2{hr.suffix}"), cv2.imread(str(lr)))
    before = {path: path.read_bytes() for path in (tmp_path / "lr").iterdir()}
    prepare.provide_lr_images(photos, tmp_path / "lr", 2)
    assert before == {path: path.read_bytes() for path in (tmp_path / "lr").iterdir()}
    (tmp_path / "lr/bx2.png").unlink()
    shutil.copy(photos / "c.bmp", tmp_path / "lr/cx2.bmp")
    with pytest.raises(ValueError, match=r"bx2.png is missing; .*cx2.bmp has not the size 13x15"):
        prepare.provide_lr_images(photos, tmp_path / "lr", 2)


def test_patches_of_every_scale_share_the_hr_folder(run, tmp_path):
    write_images(tmp_path / "HR", ["a.png"], (86, 103))
    for scale in (2, 3, 4, 8):
        write_lr_images(tmp_path / "HR", tmp_path / f"LR/X{scale}", scale)
        args = ["--scale", scale, "--size", 48, "--step", 24]
        run("extract_sub_images", tmp_path / "HR", tmp_path / f"LR/X{scale}", *args)
    corners = [(y, x) for y in (0, 24) for x in (0, 24, 48)]
    hr = read_image(tmp_path / "HR/a.png")
    for scale in (2, 3, 4, 8):
        dataset = pairs(tmp_path, scale, "LR/X{scale}_sub", "HR_sub", names=None)
        lr = read_image(tmp_path / f"LR/X{scale}/ax{scale}.png")[..., ::-1]  # loaded as BGR
        assert [item["key"] for item in dataset] == [f"a_s{i:03}" for i in range(1, 7)]
        for item, (y, x) in zip(dataset, corners, strict=True):
            assert np.array_equal(item["gt"][..., ::-1], hr[y : y + 48, x : x + 48])
            y, x, side = y // scale, x // scale, 48 // scale
            assert np.array_equal(item["img"], lr[y : y + side, x : x + side])


def test_patches_follow_a_photograph_that_became_smaller(tmp_path):
    for size, count in (((96, 96), 9), ((96, 48), 3)):
        cv2.imwrite(str(tmp_path / "a.png"), np.full((*size, 3), size[1], np.uint8))
        (tmp_path / "HR").mkdir(exist_ok=True)
        os.replace(tmp_path / "a.png", tmp_path / "HR/a.png")
        write_lr_images(tmp_path / "HR", tmp_path / "LR", 2)
        extract_sub_images(tmp_path / "HR", tmp_path / "LR", 2, 48, 24)
        for folder in ("HR_sub", "LR_sub"):
            paths = list((tmp_path / folder).iterdir())
            assert len(paths) == count
            assert all((read_image(path) == size[1]).all() for path in paths)


@pytest.mark.parametrize(("scale", "size", "step"), [(5, 48, 24), (2, 50, 24), (2, 48, 10)])
def test_patches_off_the_grid_are_refused(tmp_path, scale, size, step):
    with pytest.raises(ValueError, match=f"size={size} and step={step} must be multiples of 24"):
        extract_sub_images(tmp_path, tmp_path, scale, size, step)
