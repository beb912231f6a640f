"""Data of a search that is not the training loop's own."""

import itertools
from collections.abc import Iterator
from typing import Any

from mmengine.dataset import RepeatDataset
from torch.utils.data import DataLoader, Dataset

__all__ = ["cycle", "require_disjoint"]


def cycle(dataloader: DataLoader, key: str = "ArchOptimizerHook.dataloader") -> Iterator[Any]:
    """Yields batches for ever, each pass over the data in a new order.

    Args:
        dataloader: Any dataloader; one with an infinite sampler makes a single pass.
        key: The config key of the dataloader, for the error.

    Raises:
        ValueError: A pass yields no batch.
    """
    for epoch in itertools.count():
        sampler = getattr(dataloader.batch_sampler, "sampler", None)
        if hasattr(sampler, "set_epoch"):
            sampler.set_epoch(epoch)
        batch = None
        for batch in dataloader:
            yield batch
        if batch is None:
            raise ValueError(
                f"{key}: yields no batch; its dataset is empty, or smaller "
                "than `batch_size` with `drop_last=True`."
            )


def require_disjoint(
    train: Dataset, arch: Dataset, key: str = "ArchOptimizerHook.dataloader"
) -> None:
    """Refuses images that would both fit the weights and judge the architecture.

    Args:
        train: Dataset of the weights.
        arch: Dataset of the architecture; datasets without paths of ground truth pass.
        key: The config key of the latter's dataloader, for the error.

    Raises:
        ValueError: An image is in both.
    """
    shared = sorted(_image_paths(train) & _image_paths(arch))
    if shared:
        raise ValueError(
            f"{key}: {len(shared)} image(s) are in `train_dataloader` too, "
            f"the first is '{shared[0]}'. Split the images between the two, or set "
            "`allow_shared_images=True`."
        )


def _image_paths(dataset: Dataset) -> set[str]:
    while isinstance(dataset, RepeatDataset):
        dataset = dataset.dataset
    if not hasattr(dataset, "get_data_info"):
        return set()
    records = (dataset.get_data_info(i) for i in range(len(dataset)))
    return {record["gt_path"] for record in records if "gt_path" in record}
