"""Everything that is wrong with the data of a config, in one report."""

import json
import shutil

import pytest
from mmengine.config import Config

from mmsrnas.apis.data_check import check_data


def dataset(root, index_range=None, **options):
    pipeline = [dict(type="LoadImageFromFile", key=key) for key in ("img", "gt")]
    return dict(
        type="mmsrnas.PairedImageDataset",
        scale=2,
        data_root=str(root),
        data_prefix=dict(img="LR_bicubic/X{scale}", gt="HR"),
        filename_tmpl=dict(img="{}x{scale}", gt="{}"),
        index_range=index_range,
        pipeline=pipeline,
        **options,
    )


@pytest.fixture
def cfg(paired_images):
    arch = dict(dataloader=dict(dataset=dataset(paired_images, (4, 6))))
    return Config(
        dict(
            train_dataloader=dict(dataset=dataset(paired_images, (0, 4))),
            test_dataloader=[dict(dataset=dataset(paired_images))],
            default_hooks=dict(arch_optimizer=arch, logger=None),
        )
    )


def test_good_data(cfg):
    report = check_data(cfg)
    assert report.is_good and not report.findings
    assert report.images == 12  # each is decoded once
    assert report.samples == {
        "train_dataloader": 4,
        "default_hooks.arch_optimizer.dataloader": 2,
        "test_dataloader[0]": 6,
    }


def test_everything_is_named(cfg, paired_images, tmp_path):
    for name in ("001", "003"):
        path = paired_images / f"HR/{name}.png"
        path.write_bytes(path.read_bytes()[:-300])
    cfg.test_dataloader.append(dict(dataset=dataset(paired_images / "absent")))
    report = check_data(cfg)
    assert not report.is_good
    found = "\n".join(str(finding) for finding in report.findings)
    for name in ("001", "003"):
        assert f"train_dataloader: cannot read image {paired_images}/HR/{name}.png" in found
    assert "test_dataloader[1]: these data folders do not exist" in found
    assert len(report.findings) == 2 * 3 + 1
    report.save(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text())["images"] == 12


def test_image_of_both_parts_of_a_search(cfg, paired_images):
    shutil.copy(paired_images / "HR/000.png", paired_images / "HR/005.png")
    shutil.copy(
        paired_images / "LR_bicubic/X2/000x2.png", paired_images / "LR_bicubic/X2/005x2.png"
    )
    errors = [finding for finding in check_data(cfg).findings if finding.stops]
    assert [error.where for error in errors] == ["default_hooks.arch_optimizer.dataloader"]
    assert "1 image(s) are in `train_dataloader` too" in errors[0].problem
    twins = [finding for finding in check_data(cfg).findings if not finding.stops]
    assert all("2 files are one image" in twin.problem for twin in twins) and twins


def test_gray_copy_is_a_warning(cfg, paired_images):
    import cv2

    folder = paired_images.with_name("Set5")
    shutil.copytree(paired_images, folder)
    for path in folder.rglob("*.png"):
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
    report = check_data(Config(dict(test_dataloader=dict(dataset=dataset(folder)))))
    assert report.is_good
    assert "Set5 is a set of colour images" in report.findings[0].problem
