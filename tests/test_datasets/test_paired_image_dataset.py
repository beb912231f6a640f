import re
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from mmsrnas.datasets import LoadImageFromFile, PairedImageDataset, imresize
from mmsrnas.registry import DATASETS

LOAD = [{"type": "LoadImageFromFile", "key": key, "color_type": "color"} for key in ("img", "gt")]
CROP = {"type": "PairedRandomCrop", "gt_patch_size": 32}
PATCH = {"type": "mmsrnas.RandomPatch"}
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
    with pytest.raises(FileNotFoundError, match=r"data_prefix.img.*X3.*mmsrnas data folder"):
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
    with pytest.raises(ValueError, match=r"003.png \(81x96\) is not scale=2 times .*\(40x48;"):
        build(paired_images)
    item = build(paired_images, pipeline=[*LOAD, MOD_CROP])[3]
    assert item["gt"].shape == (80, 96, 3)


def test_every_pair_is_checked_at_the_start(paired_images):
    for i in range(6, 40):
        shutil.copy(paired_images / "HR/000.png", paired_images / f"HR/{i:03}.png")
        lr = paired_images / "LR_bicubic/X2"
        shutil.copy(lr / "000x2.png", lr / f"{i:03}x2.png")
    cv2.imwrite(str(paired_images / "HR/037.png"), np.zeros((40, 48, 3), np.uint8))
    with pytest.raises(ValueError, match=r"037.png \(40x48\)"):
        build(paired_images)


@pytest.mark.parametrize("crop", [CROP, PATCH])
@pytest.mark.parametrize(("size", "message"), [(33, "=33 .*scale=2"), (82, "82x82.*80x96")])
def test_patch_that_does_not_fit(paired_images, crop, size, message):
    crop = crop | {"gt_patch_size": size} if crop is CROP else crop
    options = {"patch_size": size} if crop is PATCH else {}
    with pytest.raises(ValueError, match=message):
        build(paired_images, pipeline=[*LOAD, crop], **options)


def position(dataset, hr, lr):
    """Where the patch of the first image lies in HR; checks that LR shows the same region."""
    item = dataset[0]
    assert item["gt"].shape == (32, 32, 3)
    corner = (hr == item["gt"][0, 0]).all(axis=2)
    y, x = next(
        (y, x)
        for y, x in np.argwhere(corner)
        if np.array_equal(hr[y : y + 32, x : x + 32], item["gt"])
    )
    assert np.array_equal(lr[y // 2 : y // 2 + 16, x // 2 : x // 2 + 16], item["img"])
    return y, x


def test_patches_show_the_same_region_and_reach_every_border(paired_images):
    dataset = build(paired_images, pipeline=[*LOAD, PATCH], patch_size=32)
    hr, lr = (cv2.imread(dataset.get_data_info(0)[key]) for key in ("gt_path", "img_path"))
    np.random.seed(0)
    corners = {position(dataset, hr, lr) for _ in range(150)}
    rows, columns = zip(*corners, strict=True)
    assert (min(rows), max(rows), min(columns), max(columns)) == (0, 48, 0, 64)


@pytest.mark.parametrize(
    ("pipeline", "options"),
    [(LOAD, {"patch_size": 32}), ([*LOAD, {"type": "mmsrnas.RandomPatch"}], {})],
)
def test_patch_size_and_its_transform_belong_together(paired_images, pipeline, options):
    with pytest.raises(ValueError, match="RandomPatch"):
        build(paired_images, pipeline=pipeline, **options)


def test_shrinking_before_the_patch_counts(paired_images):
    params = dict(
        resize_opt=["bicubic"],
        resize_prob=[1.0],
        resize_mode_prob=[0.0, 1.0, 0.0],
        resize_scale=[0.8, 1.2],
    )
    pipeline = [LOAD[1], {"type": "RandomResize", "keys": ["gt"], "params": params}, PATCH]
    options = dict(scale=1, data_prefix=dict(img="HR", gt="HR"), filename_tmpl=None)
    dataset = build(paired_images, pipeline=pipeline, patch_size=64, **options)  # 80 * 0.8
    assert {dataset[i % 6]["gt"].shape for i in range(60)} == {(64, 64, 3)}
    with pytest.raises(ValueError, match=r"at least 82x82 pixels: 6 smaller"):
        build(paired_images, pipeline=pipeline, patch_size=65, **options)


def test_sigma_reaches_the_noise_and_is_checked_at_the_start(paired_images):
    noise = {"type": "mmsrnas.AddGaussianNoise", "seed": 0}
    options = dict(scale=1, data_prefix=dict(img="HR", gt="HR"), filename_tmpl=None)
    item = build(paired_images, pipeline=[LOAD[1], noise], sigma=30, **options)[0]
    assert (item["img"] - item["gt"]).std() == pytest.approx(30, rel=0.05)
    with pytest.raises(ValueError, match=r"PairedImageDataset\.sigma"):
        build(paired_images, pipeline=[LOAD[1], noise], sigma=300, **options)
    with pytest.raises(ValueError, match="only once"):
        build(paired_images, pipeline=[LOAD[1], noise], **options)[0]


def test_file_that_is_no_image(paired_images):
    (paired_images / "HR/000.png").write_bytes(b"<html>")
    with pytest.raises(ValueError, match=r"cannot read image .*HR/000.png"):
        build(paired_images)


def test_damaged_image_is_named_when_loaded(paired_images):
    path = paired_images / "LR_bicubic/X2/002x2.png"
    path.write_bytes(path.read_bytes()[:-40])  # the header, and with it the size, is whole
    dataset = build(paired_images)
    with pytest.raises(ValueError, match=r"cannot read image .*002x2.png"):
        dataset[2]


def test_an_error_of_a_transform_names_the_pair(paired_images):
    def fail(results):
        raise RuntimeError("out of luck")

    with pytest.raises(ValueError, match=r"X2/001x2.png and .*HR/001.png: out of luck"):
        build(paired_images, pipeline=[*LOAD, fail])[1]


def test_loading_of_mmagic_is_replaced_and_keeps_its_channel_order(paired_images):
    dataset = build(paired_images, pipeline=[*LOAD, {**LOAD[1], "channel_order": "rgb"}])
    loads = dataset.pipeline.transforms
    assert all(isinstance(load, LoadImageFromFile) for load in loads)
    assert [load.channel_order for load in loads] == ["bgr", "bgr", "rgb"]
    with pytest.raises(ValueError, match="imdecode_backend: remove it"):
        build(paired_images, pipeline=[{**LOAD[0], "imdecode_backend": "cv2"}])


@pytest.mark.parametrize(
    ("hr", "lr", "folders"),
    [
        ("{}_HR", "{}_LR", ("HR", "LR")),
        ("HR_{}", "LR_{}", ("HR", "LR")),
        ("img_{}_SRF_2_HR", "img_{}_SRF_2_LR", ("HR", "LR")),
        ("{}_HR", "{}_LR", ("all", "all")),
        ("{}", "{}_LR", ("all", "all")),  # the template of HR matches the LR images too
        ("{}", "small {}", ("all", "all")),
    ],
)
def test_name_templates(tmp_path, hr, lr, folders):
    for name in ("1", "2 HR"):
        for folder, template, size in zip(folders, (hr, lr), (8, 4), strict=True):
            (tmp_path / folder).mkdir(exist_ok=True)
            path = tmp_path / folder / f"{template.format(name)}.png"
            cv2.imwrite(str(path), np.zeros((size, size, 3), np.uint8))
    prefix = {"gt": folders[0], "img": folders[1]}
    dataset = build(tmp_path, data_prefix=prefix, filename_tmpl={"gt": hr, "img": lr})
    assert [item["key"] for item in dataset] == ["1", "2 HR"]
    assert all(item["gt"].shape[0] == 2 * item["img"].shape[0] for item in dataset)


@pytest.mark.parametrize(
    "text",
    [
        b"002.png (64,64,3)\n",
        b"002.png\r\n\r\n",
        b"\xef\xbb\xbf002.png\n",
        b"002.png ( 64, 64 )",
    ],
)
def test_annotation_files(paired_images, text):
    (paired_images / "list.txt").write_bytes(text)
    dataset = build(paired_images, ann_file="list.txt")
    assert [item["key"] for item in dataset] == ["002"]


def test_annotated_names_may_hold_spaces_and_folders(paired_images):
    for folder, suffix in (("HR", ""), ("LR_bicubic/X2", "x2")):
        (paired_images / folder / "new").mkdir()
        path = paired_images / folder
        shutil.copy(path / f"000{suffix}.png", path / f"new/my photo{suffix}.png")
    (paired_images / "list.txt").write_text("new/my photo.png (80,96,3)\n")
    assert build(paired_images, ann_file="list.txt")[0]["key"] == "new/my photo"


def test_other_cases_of_endings_and_webp_are_taken(tmp_path):
    for folder, size in (("HR", 8), ("LR", 4)):
        (tmp_path / folder).mkdir()
        for name in ("a.Png", "b.webp", "c.JPG"):
            Image.new("RGB", (size, size)).save(tmp_path / folder / name)
    dataset = build(tmp_path, data_prefix={"img": "LR", "gt": "HR"}, filename_tmpl=None)
    assert [item["key"] for item in dataset] == ["a", "b", "c"]
