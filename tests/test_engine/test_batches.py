"""Batches that go on from any position, whoever loads them."""

import itertools
import random

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from torch.utils.data import Dataset

from mmsrnas.engine import batches
from mmsrnas.engine.batches import BatchStream
from mmsrnas.engine.random_state import seed_from, seeded


class Draws(Dataset):
    """Ten samples, each with numbers of every generator."""

    loaded = 0

    def __len__(self):
        return 10

    def __getitem__(self, index):
        Draws.loaded += 1
        return index, random.random(), float(np.random.rand()), torch.rand(1).item()


def stream(sampler="InfiniteSampler", batch_size=3, **kwargs):
    cfg = {
        "dataset": Draws(),
        "sampler": {"type": sampler, "shuffle": True},
        "batch_size": batch_size,
        "collate_fn": {"type": "pseudo_collate"},
        "num_workers": 0,
    }
    return BatchStream(Runner.build_dataloader(cfg | kwargs, seed=5), seed=5)


def samples(stream, count):
    """The samples of some batches in one row."""
    rows = itertools.islice(stream, count)
    return [sample for batch in rows for sample in zip(*map(list, batch), strict=True)]


@pytest.mark.parametrize("sampler", ["InfiniteSampler", "DefaultSampler"])
def test_every_pass_has_all_samples_in_a_new_order(sampler):
    indices = [index for index, *_ in samples(stream(sampler, 5), 4)]
    first, second = indices[:10], indices[10:]
    assert first != second
    assert sorted(first) == sorted(second) == list(range(10))


@pytest.mark.parametrize("sampler", ["InfiniteSampler", "DefaultSampler"])
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_any_position_without_loading_what_is_before(sampler, workers):
    whole = samples(stream(sampler), 9)
    later = stream(sampler, num_workers=workers, persistent_workers=workers > 0)
    later.skip(5)
    Draws.loaded = 0
    sizes = [3, 3, 3, 1] if sampler == "DefaultSampler" else [3, 3, 3]
    past = sum(itertools.islice(itertools.cycle(sizes), 5))
    assert samples(later, 4) == whole[past:]
    assert later.position == 9
    assert Draws.loaded == (0 if workers else len(whole) - past)


def test_a_sample_that_comes_again_draws_anew():
    rows = samples(stream(batch_size=10), 2)
    assert len({tuple(draws) for _, *draws in rows}) == 20


def test_two_processes_share_the_samples_of_one(monkeypatch):
    whole = samples(stream(batch_size=4), 3)
    parts = []
    for rank in range(2):
        monkeypatch.setattr(batches, "get_dist_info", lambda rank=rank: (rank, 2))
        monkeypatch.setattr("mmengine.dataset.sampler.get_dist_info", lambda rank=rank: (rank, 2))
        parts.append(samples(stream(batch_size=2), 3))
    assert [sample for pair in zip(*parts, strict=True) for sample in pair] == whole


def test_only_the_beginning_can_be_skipped():
    begun = stream()
    next(begun)
    with pytest.raises(RuntimeError, match="before the first"):
        begun.skip(1)


def test_data_without_indices_are_refused():
    loader = torch.utils.data.DataLoader([1, 2], batch_size=None)
    with pytest.raises(TypeError, match="some_key: needs a dataset with indices"):
        BatchStream(loader, 0, "some_key")


def test_seeds_are_of_their_numbers_alone():
    def draw():
        return random.random(), float(np.random.randn()), torch.rand(1).item()

    seed_from(1, 2)
    first = draw()
    assert draw() != first
    with seeded(7):
        inside = draw()
    outside = draw()
    seed_from(1, 2)
    assert draw() == first
    draw()
    assert draw() == outside  # what is seeded for a while leaves nothing behind
    seed_from(7)
    assert draw() == inside
