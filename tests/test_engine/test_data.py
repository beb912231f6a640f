"""The data of the architecture step: endless, and not the training data."""

from pathlib import Path

import pytest
import tiny_search
import torch
from mmagic.datasets import BasicImageDataset
from mmengine.dataset import ConcatDataset, RepeatDataset
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch.utils.data import Subset

from mmsrnas.datasets import MixedImageDataset
from mmsrnas.engine.data import require_disjoint


def test_shared_images(images):
    shared = tiny_search.dataloader(images, (7, 12))
    with pytest.raises(ValueError, match=r"1 image\(s\) are in `train_dataloader` too.*07.png"):
        tiny_search.runner(images, arch={"dataloader": shared}).train()
    accepted = {"dataloader": shared, "allow_shared_images": True}
    tiny_search.runner(images, iters=1, arch=accepted).train()


def test_no_batch(images):
    small = tiny_search.dataloader(
        images, (8, 9), sampler={"type": "DefaultSampler"}, drop_last=True
    )
    with pytest.raises(ValueError, match="yields no batch"):
        tiny_search.runner(images, arch={"dataloader": small}).train()


def dataset(images, index_range):
    with DefaultScope.overwrite_default_scope("mmagic"):
        return Runner.build_dataloader(tiny_search.dataloader(images, index_range)).dataset


WRAPPERS = {
    "RepeatDataset": lambda data: RepeatDataset(data, times=1000),
    "ConcatDataset": lambda data: ConcatDataset([data, data]),
    "ConcatDataset of torch": lambda data: torch.utils.data.ConcatDataset([data, data]),
    "Subset": lambda data: Subset(data, range(len(data))),
    "nested": lambda data: torch.utils.data.ConcatDataset([RepeatDataset(data, times=2), data]),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_images_are_seen_through_wrappers(images, wrapper):
    train = WRAPPERS[wrapper](dataset(images, (0, 4)))
    require_disjoint(train, dataset(images, (4, 6)))
    with pytest.raises(ValueError, match=r"2 image\(s\)"):
        require_disjoint(train, dataset(images, (2, 6)))
    with pytest.raises(ValueError, match=r"1 image\(s\)"):
        require_disjoint(dataset(images, (3, 4)), train)


def test_a_subset_counts_with_its_own_images_only(images):
    data = dataset(images, (0, 6))
    require_disjoint(Subset(data, [0, 1]), Subset(data, [2, 3]))
    with pytest.raises(ValueError, match=r"1 image\(s\)"):
        require_disjoint(Subset(data, [0, 1]), Subset(data, [1, 2]))


class Pictures:
    """A dataset that says which files it reads."""

    def __init__(self, *paths, key="gt_path"):
        self.paths, self.key = paths, key

    def __len__(self):
        return len(self.paths)

    def get_data_info(self, index):
        return {self.key: str(self.paths[index])}


@pytest.fixture
def picture(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(b"content")
    (tmp_path / "other.png").write_bytes(b"CONTENT")  # of the same size
    (tmp_path / "copy.png").write_bytes(b"content")
    (tmp_path / "link.png").symlink_to("a.png")
    (tmp_path / "linked").symlink_to(tmp_path, target_is_directory=True)
    return tmp_path / "a.png"


@pytest.mark.parametrize(
    "same", ["a.png", "./linked/linked/a.png", "link.png", "linked/a.png", "copy.png"]
)
def test_one_image_under_two_paths_is_one_image(picture, same):
    with pytest.raises(ValueError, match=r"1 image\(s\) are in `train_dataloader` too"):
        require_disjoint(Pictures(picture), Pictures("other.png", same))
    require_disjoint(Pictures(picture), Pictures("other.png"))


def test_datasets_of_mmagic_are_understood(picture):
    def data(key, names):
        Path("list.txt").write_text("\n".join(names))
        return BasicImageDataset(ann_file="list.txt", data_root=".", data_prefix={key: ""})

    require_disjoint(data("gt", ["a.png"]), data("img", ["other.png"]))
    with pytest.raises(ValueError, match=r"1 image\(s\)"):
        require_disjoint(data("gt", ["a.png"]), data("img", ["copy.png"]))


def test_both_parts_of_a_mixed_dataset_count(picture):
    mixed = MixedImageDataset.__new__(MixedImageDataset)
    mixed.datasets = [Pictures("other.png"), Pictures(picture, key="img_path")]
    with pytest.raises(ValueError, match=r"1 image\(s\)"):
        require_disjoint(mixed, Pictures("copy.png"))


@pytest.mark.parametrize("unknown", [[1, 2, 3], Pictures("a.png", key="frames")])
def test_a_dataset_that_does_not_say_what_it_reads_is_refused(picture, unknown):
    with pytest.raises(ValueError, match=r"does not say which images.*allow_shared_images=True"):
        require_disjoint(Pictures(picture), unknown)
