import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmsrnas.datasets import check_datasets


def loader(root, name):
    return {
        "dataset": {
            "scale": 2,
            "data_root": str(root / name),
            "data_prefix": {"img": "LR_bicubic/X{scale}", "gt": "HR"},
        }
    }


@pytest.fixture
def cfg(paired_images):
    root = paired_images.parent
    names = ["Set5", "pairs", "Urban100"]
    return Config(
        {
            "train_dataloader": loader(root, "pairs"),
            "val_dataloader": [loader(root, "pairs")],
            "test_dataloader": [loader(root, name) for name in names],
            "test_evaluator": [{"metrics": [{"prefix": name}]} for name in names],
        }
    )


def test_what_exists_is_accepted(cfg):
    check_datasets(cfg, "train", "val")


def test_all_missing_test_sets_are_named_at_once_with_the_ways_out(cfg):
    with pytest.raises(FileNotFoundError) as error:
        check_datasets(cfg, "test")
    message = str(error.value)
    for part in ("Set5/HR", "Set5/LR_bicubic/X2", "Urban100/HR", "mmsrnas data folder"):
        assert part in message
    assert "skip_missing_test_sets=True" in message
    assert "pairs" not in message


def test_missing_test_sets_are_skipped_with_their_metrics_when_asked(cfg):
    cfg.skip_missing_test_sets = True
    check_datasets(cfg, "test")
    assert [ld.dataset.data_root[-5:] for ld in cfg.test_dataloader] == ["pairs"]
    assert [e.metrics[0].prefix for e in cfg.test_evaluator] == ["pairs"]


def test_skipping_never_leaves_nothing_to_test(cfg):
    cfg.skip_missing_test_sets = True
    cfg.test_dataloader, cfg.test_evaluator = cfg.test_dataloader[:1], cfg.test_evaluator[:1]
    with pytest.raises(FileNotFoundError, match="Set5"):
        check_datasets(cfg, "test")


def test_skipping_is_for_test_sets_only(cfg, tmp_path):
    cfg.skip_missing_test_sets = True
    cfg.train_dataloader = loader(tmp_path, "DIV2K")
    with pytest.raises(FileNotFoundError, match="DIV2K") as error:
        check_datasets(cfg, "train")
    assert "skip_missing_test_sets" not in str(error.value)


def test_wrapped_datasets_and_the_architecture_dataloader_are_checked(cfg, tmp_path):
    wrapped = {"dataset": {"type": "RepeatDataset", "times": 2, **loader(tmp_path, "wrapped")}}
    cfg.train_dataloader = {
        "dataset": {"type": "ConcatDataset", "datasets": [wrapped["dataset"]]},
    }
    cfg.default_hooks = {"arch_optimizer": {"dataloader": loader(tmp_path, "arch")}, "timer": None}
    cfg.custom_hooks = [{"dataloader": loader(tmp_path, "more")}, {"dataloader": None}, {}]
    cfg.train_cfg = {"policy_dataloader": loader(tmp_path, "policy")}
    with pytest.raises(FileNotFoundError, match=r"wrapped/HR.*arch/HR.*more/HR.*policy/HR"):
        check_datasets(cfg, "train")


@pytest.mark.parametrize(
    ("name", "gray", "color_type", "warns"),
    [
        ("Set5", [0, 1, 2, 3, 4, 5], "color", True),
        ("Set14", [0, 1, 2], "color", False),  # one of them is gray
        ("photographs", [0, 1, 2, 3, 4, 5], "color", False),
        ("Set5", [0, 1, 2, 3, 4, 5], "grayscale", False),  # gray is what is asked for
    ],
)
def test_gray_copies_of_colour_sets_are_named(
    paired_images, monkeypatch, name, gray, color_type, warns
):
    for i in gray:
        path = paired_images / f"HR/{i:03}.png"
        image = cv2.imread(str(path))
        cv2.imwrite(str(path), np.repeat(image[..., :1], 3, axis=2))
    paired_images.rename(paired_images.parent / name)
    test = loader(paired_images.parent, name)
    test["dataset"]["pipeline"] = [{"type": "LoadImageFromFile", "color_type": color_type}]
    messages = []
    monkeypatch.setattr(
        "mmsrnas.datasets.checks.print_log", lambda text, **_: messages.append(text)
    )
    check_datasets(Config({"test_dataloader": [test]}), "test")
    assert [f"{name} is a set of colour images" in text for text in messages] == [True] * warns
