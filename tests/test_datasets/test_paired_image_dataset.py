import re
import shutil

import cv2
import numpy as np
import pytest

from mmsrnas.datasets import PairedImageDataset, imresize
from mmsrnas.registry import DATASETS

LOAD = [{"type": "LoadImageFromFile", "key": key, "color_type": "color"} for key in ("img", "gt")]
CROP = {"type": "PairedRandomCrop", "gt_patch_size": 32}
MOD_CROP = {"type": "ModCrop", "key": "gt"}


def build(root, pipeline=LOAD, **kwargs) -> PairedImageDataset:
    cfg = {
        "type": "mmsrnas.PairedImageDataset",
        "scale": 2,
        "data_root": str(root),
        "data_prefix": {"img": "LR_bicubic/X{scale}", "gt": "HR"},
        "filename_tmpl": {"img": "{}x{scale}", "gt": "{}"},
        "pipeline": pipeline,
        **kwargs,
    }
    return DATASETS.build({**cfg, "_scope_": "mmagic"})


def test_pairs_belong_together(paired_images):
    dataset = build(paired_images)
    assert [dataset.get_data_info(i)["key"] for i in range(6)] == [f"{i:03}" for i in range(6)]
    for item in dataset:
        assert np.array_equal(imresize(item["gt"], 1 / 2), item["img"])


def test_scale_reaches_the_crop(paired_images):
    item = build(paired_images, pipeline=[*LOAD, CROP])[0]
    assert item["gt"].shape == (32, 32, 3)
    assert item["img"].shape == (16, 16, 3)


def test_index_ranges_that_meet_are_disjoint(paired_images):
    def keys(index_range):
        dataset = build(paired_images, index_range=index_range)
        return [dataset.get_data_info(i)["key"] for i in range(len(dataset))]

    assert keys((0, 4)) == ["000", "001", "002", "003"]
    assert keys((4, None)) == ["004", "005"]


@pytest.mark.parametrize("index_range", [(0, 7), (6, None), (3, 3)])
def test_index_range_beyond_the_folder(paired_images, index_range):
    with pytest.raises(ValueError, match=re.escape(f"index_range={index_range}") + ".* 6 images"):
        build(paired_images, index_range=index_range)


def test_missing_folder_is_named_with_its_key(paired_images):
    with pytest.raises(FileNotFoundError, match=r"data_prefix.img.*X3.*dataset_converters"):
        build(paired_images, scale=3)


def test_empty_folder(paired_images):
    shutil.rmtree(paired_images / "HR")
    (paired_images / "HR").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no image in .*HR"):
        build(paired_images)


def test_missing_and_extra_lr_images_are_named(paired_images):
    lr = paired_images / "LR_bicubic/X2"
    (lr / "003x2.png").rename(lr / "other.png")
    with pytest.raises(ValueError, match=r"1 missing \(003x2.png\); 1 without .* \(other.png\)"):
        build(paired_images)


def test_missing_lr_image_of_an_ann_file(paired_images):
    (paired_images / "LR_bicubic/X2/003x2.png").unlink()
    (paired_images / "list.txt").write_text("002.png\n003.png\n")
    with pytest.raises(ValueError, match=r"1 missing .*003x2.png"):
        build(paired_images, ann_file="list.txt")


def test_sizes_that_do_not_match_the_scale(paired_images):
    cv2.imwrite(str(paired_images / "HR/003.png"), np.zeros((81, 96, 3), np.uint8))
    with pytest.raises(ValueError, match=r"003.png \(96x81\) is not scale=2 times .*\(48x40\)"):
        build(paired_images)
    item = build(paired_images, pipeline=[*LOAD, MOD_CROP])[3]
    assert item["gt"].shape == (80, 96, 3)


def test_sizes_beyond_the_check_at_start_are_found_when_loaded(paired_images, monkeypatch):
    monkeypatch.setattr("mmsrnas.datasets.paired_image_dataset.CHECKED_AT_START", 1)
    cv2.imwrite(str(paired_images / "HR/003.png"), np.zeros((40, 48, 3), np.uint8))
    dataset = build(paired_images)
    with pytest.raises(ValueError, match=r"003.png \(48x40\)"):
        dataset[3]


@pytest.mark.parametrize("patch", [33, 82])
def test_patch_that_does_not_fit(paired_images, patch):
    with pytest.raises(ValueError, match=rf"gt_patch_size={patch}.*scale=2.*96x80"):
        build(paired_images, pipeline=[*LOAD, {**CROP, "gt_patch_size": patch}])


def test_file_that_is_no_image(paired_images):
    (paired_images / "HR/000.png").write_bytes(b"<html>")
    with pytest.raises(ValueError, match=r"cannot read image .*HR/000.png"):
        build(paired_images)


def test_damaged_image_is_named_when_loaded(paired_images):
    path = paired_images / "LR_bicubic/X2/002x2.png"
    path.write_bytes(path.read_bytes()[:50])  # the header, and with it the size, is whole
    dataset = build(paired_images)
    with pytest.raises(ValueError, match=r"cannot read image .*002x2.png"):
        dataset[2]
