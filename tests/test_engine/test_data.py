"""The data of the architecture step: endless, and not the training data."""

import pytest
import tiny_search
from mmengine.dataset import RepeatDataset
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from mmsrnas.engine.data import cycle, require_disjoint


def test_cycle_reshuffles_each_pass():
    cfg = {
        "dataset": list(range(8)),
        "sampler": {"type": "DefaultSampler", "shuffle": True},
        "batch_size": 8,
        "num_workers": 0,
    }
    batches = cycle(Runner.build_dataloader(cfg, seed=0))
    first, second = (list(next(batches)) for _ in range(2))
    assert first != second
    assert sorted(first) == sorted(second) == list(range(8))


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


def test_repeated_images_are_seen_through(images):
    def dataset(index_range):
        with DefaultScope.overwrite_default_scope("mmagic"):
            cfg = tiny_search.dataloader(images, index_range)
            return Runner.build_dataloader(cfg).dataset

    train = RepeatDataset(dataset((0, 4)), times=1000)
    require_disjoint(train, dataset((4, 6)))
    with pytest.raises(ValueError, match=r"2 image\(s\)"):
        require_disjoint(train, dataset((2, 6)))
    require_disjoint(train, [1, 2, 3])  # no paths to compare
