"""Endless batches whose position is a number: any of them can be the next one."""

import copy
import itertools
from collections.abc import Iterator
from typing import Any, Protocol, cast, runtime_checkable

import torch
from mmengine.dist import get_dist_info
from torch.utils.data import BatchSampler, DataLoader, Dataset

from mmsrnas.registry import DATA_SAMPLERS

from .random_state import seeded
from .workers import leaving_signals_to_parent

__all__ = ["BatchStream", "Stream", "training_stream"]


@runtime_checkable
class Stream(Protocol):
    """Batches that know how to go on from any position."""

    def __next__(self) -> Any: ...

    def skip(self, count: int) -> None:
        """Moves on without loading anything."""


class BatchStream:
    """The batches of a dataloader, pass after pass, from any position on.

    The random numbers of a sample depend on ``seed`` and on its number in the stream alone. So a
    batch is the same whether those before it were loaded or skipped, and however many worker
    processes load them; and the samples of several processes with batches of ``b`` are those of
    one process with batches of ``b`` times their number.

    Args:
        dataloader: Any dataloader of a dataset with indices that has not been iterated yet.
        seed: Seed of the random numbers of the samples, at least 0.
        key: The config key of the dataloader, for errors.
        shared: Every process gets all samples, instead of a share of them.

    Raises:
        ValueError: A pass yields no batch, when the first one is asked for.
        TypeError: The dataset has no indices.
    """

    def __init__(
        self,
        dataloader: DataLoader,
        seed: int,
        key: str = "train_dataloader",
        shared: bool = False,
    ) -> None:
        if dataloader.batch_sampler is None:
            raise TypeError(
                f"{key}: needs a dataset with indices and a batch size, got "
                f"{type(dataloader.dataset).__name__} and batch_size={dataloader.batch_size}."
            )
        self.dataloader = dataloader
        self.batch_sampler: Any = dataloader.batch_sampler
        self.position = 0
        self._process = (0, 1) if shared else get_dist_info()
        sampler: Any = getattr(self.batch_sampler, "sampler", None)
        if shared and hasattr(sampler, "world_size"):
            sampler.rank, sampler.world_size = self._process
        self._seed = seed
        self._key = key
        self._batches: Iterator[Any] | None = None

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._batches is None:
            self._batches = iter(self._loader())
        batch = next(self._batches)
        self.position += 1
        return batch

    def skip(self, count: int) -> None:
        """Moves on without loading anything; possible before the first batch is taken.

        Args:
            count: Number of batches.
        """
        if self._batches is not None:
            raise RuntimeError(f"{self._key}: batches are skipped before the first is taken.")
        self.position += count

    def _loader(self) -> DataLoader:
        """A dataloader of one endless pass that begins at the position."""
        source = self.dataloader
        return DataLoader(
            _SeededSamples(source.dataset, self._seed),
            batch_sampler=_numbered(
                _endless(self.batch_sampler, self._key), self.position, self._process
            ),
            num_workers=source.num_workers,
            collate_fn=source.collate_fn,
            pin_memory=source.pin_memory,
            timeout=source.timeout,
            worker_init_fn=leaving_signals_to_parent(source.worker_init_fn),
            multiprocessing_context=source.multiprocessing_context,
            prefetch_factor=source.prefetch_factor,
            # Else the start of the workers draws from the random numbers of the process.
            generator=torch.Generator().manual_seed(self._seed),
        )


class _SeededSamples(Dataset):
    """A dataset whose indices carry the number of the sample in the stream."""

    def __init__(self, dataset: Any, seed: int) -> None:
        self.dataset = dataset
        self.seed = seed

    def __getitem__(self, numbered: tuple[int, int]) -> Any:
        number, index = numbered
        with seeded(self.seed, number):
            return self.dataset[index]


def _numbered(
    batches: Iterator[list[int]], position: int, process: tuple[int, int]
) -> Iterator[list[tuple[int, int]]]:
    """Batches of ``(number of the sample, index)`` from a position on."""
    rank, processes = process
    taken = 0
    for place, indices in enumerate(batches):
        if place >= position:
            yield [((taken + i) * processes + rank, index) for i, index in enumerate(indices)]
        taken += len(indices)


def _endless(batch_sampler: Any, key: str) -> Iterator[list[int]]:
    """Batches of indices, each pass over the data in a new order."""
    sampler: Any = getattr(batch_sampler, "sampler", None)
    for epoch in itertools.count():
        if hasattr(sampler, "set_epoch"):
            sampler.set_epoch(epoch)
        indices = None
        for indices in batch_sampler:
            yield indices
        if indices is None:
            raise ValueError(
                f"{key}: yields no batch; its dataset is empty, or smaller "
                "than `batch_size` with `drop_last=True`."
            )


def training_stream(loop: Any, config: Any) -> BatchStream:
    """The training data of a loop as a stream, in place of the iterator that the loop has begun.

    Args:
        loop: An ``IterBasedTrainLoop``. Worker processes that it has started are ended.
        config: What its dataloader was built from. From a config the sampler is built anew, because
            the loop's own may have given indices to workers; a dataloader is taken as it is.
    """
    loader, seed = loop.dataloader, loop.runner.seed
    loop.dataloader_iterator = loader._iterator = None
    stream = BatchStream(loader, seed)
    if isinstance(config, dict):
        stream.batch_sampler = _build_batch_sampler(config, loader, seed, loop.runner.cfg)
    return stream


def _build_batch_sampler(config: dict, loader: DataLoader, seed: int, run_config: Any) -> Any:
    """What mmengine built of a config of a dataloader."""
    different = run_config.get("randomness", {}).get("diff_rank_seed", False)
    defaults = dict(dataset=loader.dataset, seed=None if different else seed)
    sampler = DATA_SAMPLERS.build(copy.deepcopy(config["sampler"]), default_args=defaults)
    if config.get("batch_sampler") is None:
        return BatchSampler(sampler, cast(int, loader.batch_size), loader.drop_last)
    defaults = dict(sampler=sampler, batch_size=config["batch_size"])
    return DATA_SAMPLERS.build(copy.deepcopy(config["batch_sampler"]), default_args=defaults)
