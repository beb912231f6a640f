"""A dataset of LR/HR image pairs that refuses bad data with the file's name."""

import os.path as osp
from collections.abc import Sequence
from typing import Any

import cv2
from mmagic.datasets import BasicImageDataset
from mmagic.datasets.transforms import ModCrop
from PIL import Image, UnidentifiedImageError

from mmsrnas.registry import DATASETS

__all__ = ["PairedImageDataset"]

CHECKED_AT_START = 32
PREPARE = "Prepare it with a script of tools/dataset_converters (docs/data.md)."


@DATASETS.register_module()
class PairedImageDataset(BasicImageDataset):
    """``BasicImageDataset`` for pairs of one scale.

    Folders, names and some sizes are checked at construction, from the headers of the images; the
    size of every other pair is checked when it is loaded.

    Args:
        scale: HR size divided by LR size.  It replaces ``{scale}`` in ``data_prefix`` and
            ``filename_tmpl`` and is handed to the pipeline as ``results['scale']``.
        data_prefix: Folders of the LR (``img``) and HR (``gt``) images.
        filename_tmpl: LR (``img``) and HR (``gt``) name made from the name that both share, without
            suffix, e.g. ``dict(img='{}x{scale}', gt='{}')``.
        index_range: Use images ``start <= i < stop`` of the files sorted by name; ``stop=None``
            means up to the last one.  Two ranges that meet split a folder into disjoint parts.
        **kwargs: As for ``BasicImageDataset``.

    Raises:
        FileNotFoundError: A folder is absent or holds no image.
        ValueError: LR and HR differ in names, their sizes do not differ by ``scale``, an image
            cannot be read, or ``gt_patch_size`` of the pipeline does not fit.
    """

    METAINFO = {"dataset_type": "paired_image_dataset", "task_name": "restoration"}

    def __init__(
        self,
        scale: int,
        data_prefix: dict[str, str],
        filename_tmpl: dict[str, str] | None = None,
        index_range: Sequence[int | None] | None = None,
        **kwargs: Any,
    ) -> None:
        if set(data_prefix) != {"img", "gt"}:
            raise ValueError(f"data_prefix must have the keys 'img' and 'gt', got {data_prefix}")
        self.scale = scale
        self.index_range = index_range
        templates = {"img": "{}", "gt": "{}", **(filename_tmpl or {})}
        super().__init__(
            data_prefix={key: _fill(folder, scale) for key, folder in data_prefix.items()},
            filename_tmpl={key: _fill(template, scale) for key, template in templates.items()},
            search_key="gt",
            **kwargs,
        )

    def load_data_list(self) -> list[dict]:
        """Lists the pairs, sorted by name, and checks them."""
        for key, folder in self.data_prefix.items():
            if not osp.isdir(folder):
                raise FileNotFoundError(f"data_prefix.{key}: no folder {folder}. {PREPARE}")
        pairs = sorted(super().load_data_list(), key=lambda pair: pair["gt_path"])
        if not pairs:
            raise FileNotFoundError(f"data_prefix.gt: no image in {self.data_prefix['gt']}")
        self._check_names(pairs)
        pairs = self._in_range(pairs)
        for pair in pairs[:: max(1, len(pairs) // CHECKED_AT_START)]:
            self._check_sizes(pair)
        return [{**pair, "scale": self.scale} for pair in pairs]

    def prepare_data(self, idx: int) -> Any:
        """Loads one pair; an error names the file that causes it."""
        pair = self.get_data_info(idx)
        self._check_sizes(pair)
        try:
            return self.pipeline(pair)
        except Exception as error:
            for path in (pair["img_path"], pair["gt_path"]):
                if cv2.imread(path) is None:
                    raise ValueError(f"cannot read image {path}: it is damaged") from error
            raise

    def _check_names(self, pairs: list[dict]) -> None:
        if self.use_ann_file:
            missing = [pair["img_path"] for pair in pairs if not osp.isfile(pair["img_path"])]
            extra = []
        else:
            expected = {osp.relpath(pair["img_path"], self.data_prefix["img"]) for pair in pairs}
            found = set(
                self.file_backend.list_dir_or_file(
                    self.data_prefix["img"],
                    list_dir=False,
                    suffix=self.img_suffix,
                    recursive=self.recursive,
                )
            )
            missing, extra = sorted(expected - found), sorted(found - expected)
        if missing or extra:
            raise ValueError(
                f"{self.data_prefix['img']} does not match the {len(pairs)} images of "
                f"{self.data_prefix['gt']}: {_shorten('missing', missing)}"
                f"{_shorten('without HR image', extra)}filename_tmpl.img is "
                f"{self.filename_tmpl['img']!r}. {PREPARE}"
            )

    def _in_range(self, pairs: list[dict]) -> list[dict]:
        if self.index_range is None:
            return pairs
        start, stop = self.index_range
        if start >= len(pairs) or (stop is not None and not start < stop <= len(pairs)):
            raise ValueError(
                f"index_range={tuple(self.index_range)} does not fit the {len(pairs)} images of "
                f"{self.data_prefix['gt']}"
            )
        return pairs[start:stop]

    def _check_sizes(self, pair: dict) -> None:
        """Compares the sizes in the headers of a pair, without decoding the images."""
        lr, hr = _size(pair["img_path"]), _size(pair["gt_path"])
        transforms = self.pipeline.transforms
        spare = self.scale - 1 if any(isinstance(t, ModCrop) for t in transforms) else 0
        if not all(
            0 <= big - self.scale * small <= spare for big, small in zip(hr, lr, strict=True)
        ):
            raise ValueError(
                f"{pair['gt_path']} ({hr[0]}x{hr[1]}) is not scale={self.scale} times "
                f"{pair['img_path']} ({lr[0]}x{lr[1]}). {PREPARE}"
            )
        for transform in transforms:
            patch = getattr(transform, "gt_patch_size", None)
            if patch is not None and (patch > min(hr) or patch % self.scale):
                raise ValueError(
                    f"gt_patch_size={patch} must be a multiple of scale={self.scale} and at most "
                    f"the size of every HR image; {pair['gt_path']} is {hr[0]}x{hr[1]}"
                )


def _fill(template: str, scale: int) -> str:
    return template.replace("{scale}", str(scale))


def _shorten(what: str, names: list[str]) -> str:
    if not names:
        return ""
    return f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''}); "


def _size(path: str) -> tuple[int, int]:
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, UnidentifiedImageError) as error:
        raise ValueError(f"cannot read image {path}: {error}") from error
