"""A dataset of LR/HR image pairs that refuses bad data with the file's name."""

import os.path as osp
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from mmagic.datasets import BasicImageDataset
from mmagic.datasets.transforms import ModCrop

from mmsrnas.registry import DATASETS

from .file_names import NameTemplate, files_of, read_annotation, require_utf8
from .image_io import IMAGE_SUFFIXES, MAX_PIXELS, image_size, printable
from .loading import LoadImageFromFile
from .noise import sigmas_of
from .patch import RandomPatch, smallest_size

__all__ = ["PairedImageDataset"]

PREPARE = "Prepare it by mmsrnas data folder, div2k, df2k, bsd500 or benchmarks."


@DATASETS.register_module()
class PairedImageDataset(BasicImageDataset):
    """``BasicImageDataset`` for pairs of one scale.

    Folders, names and the sizes of all pairs are checked at construction, the sizes from the
    headers of the images.  Loading goes through :class:`~mmsrnas.datasets.LoadImageFromFile`, which
    takes the place of mmagic's transform of that name.

    Args:
        scale: HR size divided by LR size.  It replaces ``{scale}`` in ``data_prefix`` and
            ``filename_tmpl`` and is handed to the pipeline as ``results['scale']``.
        data_prefix: Folders of the LR (``img``) and HR (``gt``) images; they may be the same.
        filename_tmpl: LR (``img``) and HR (``gt``) name made from the name that both share, without
            suffix, e.g. ``dict(img='{}x{scale}', gt='{}')``.
        index_range: Use images ``start <= i < stop`` of the files sorted by name; ``stop=None``
            means up to the last one.  Two ranges that meet split a folder into disjoint parts.
        patch_size: Size in HR pixels of the patches that ``mmsrnas.RandomPatch`` cuts.
        sigma: Standard deviation of the noise that ``mmsrnas.AddGaussianNoise`` adds to images in
            0..255, or several of which one is drawn for each image.
        pipeline: Transforms.
        ann_file: List of the shared names, one a line (docs/data.md).
        img_suffix: Endings of the images, in lower case.
        **kwargs: As for ``BasicImageDataset``.

    Raises:
        FileNotFoundError: A folder is absent or holds no image.
        ValueError: LR and HR differ in names, their sizes do not differ by ``scale``, an image
            cannot be read or is smaller than the patches, or an argument does not fit.
    """

    METAINFO = {"dataset_type": "paired_image_dataset", "task_name": "restoration"}

    img_suffix: tuple[str, ...]

    def __init__(
        self,
        scale: int,
        data_prefix: dict[str, str],
        filename_tmpl: dict[str, str] | None = None,
        index_range: tuple[int, int | None] | None = None,
        patch_size: int | None = None,
        sigma: float | Sequence[float] | None = None,
        pipeline: Sequence[dict | Callable] = (),
        ann_file: str = "",
        img_suffix: str | tuple[str, ...] = IMAGE_SUFFIXES,
        **kwargs: Any,
    ) -> None:
        if set(data_prefix) != {"img", "gt"}:
            raise ValueError(f"data_prefix must have the keys 'img' and 'gt', got {data_prefix}")
        self.scale = scale
        self.index_range = index_range
        self.patch_size = patch_size
        self.sigma = None if sigma is None else sigmas_of(sigma, "PairedImageDataset.sigma")
        templates = {"img": "{}", "gt": "{}", **(filename_tmpl or {})}
        templates = {key: _fill(template, scale) for key, template in templates.items()}
        self.templates = {
            key: NameTemplate(f"filename_tmpl.{key}", templates[key]) for key in data_prefix
        }
        suffixes: Any = (img_suffix,) if isinstance(img_suffix, str) else tuple(img_suffix)
        super().__init__(
            ann_file=ann_file,
            data_prefix={key: _fill(folder, scale) for key, folder in data_prefix.items()},
            filename_tmpl=templates,
            search_key="gt",
            pipeline=[_strict(transform) for transform in pipeline],
            img_suffix=suffixes,  # mmagic declares a tuple of one
            **kwargs,
        )

    def load_data_list(self) -> list[dict]:
        """Lists the pairs, sorted by name, and checks them."""
        for key, folder in self.data_prefix.items():
            if not osp.isdir(folder):
                raise FileNotFoundError(f"data_prefix.{key}: no folder {folder}. {PREPARE}")
        if self.use_ann_file:
            names = read_annotation(str(self.ann_file))
            files = {self.templates["img"].fill(name) for name in names}
            extra = []
        else:
            names, files = self._names_of_folder(), self._images("img")
            expected = {self.templates["img"].fill(name) for name in names}
            extra = sorted(files - expected - self._hr_files(names))
        pairs = [self._pair(name) for name in sorted(names)]
        self._require_names(pairs, extra)
        pairs = self._in_range(pairs)
        self._require_sizes(pairs)
        options = dict(scale=self.scale, patch_size=self.patch_size, sigma=self.sigma)
        options = {key: value for key, value in options.items() if value is not None}
        return [{**pair, **options} for pair in pairs]

    def prepare_data(self, idx: int) -> Any:
        """Loads one pair; an error names its files."""
        pair = self.get_data_info(idx)
        try:
            return self.pipeline(pair)
        except Exception as error:
            message = str(error)
            paths = dict.fromkeys(printable(pair[key]) for key in ("img_path", "gt_path"))
            if any(path in message for path in paths):
                raise
            raise ValueError(f"{' and '.join(paths)}: {message}") from error

    def _images(self, key: str) -> set[str]:
        """Image files of a folder, relative to it."""
        files = files_of(self.data_prefix[key], self.recursive)
        images = [file for file in files if file.lower().endswith(self.img_suffix)]
        require_utf8(images, self.data_prefix[key])
        return set(images)

    def _names_of_folder(self) -> list[str]:
        """Names that LR and HR share, from the HR files."""
        folder = self.data_prefix["gt"]
        matches = (self.templates["gt"].match(file) for file in self._images("gt"))
        names = {name for name in matches if name is not None}
        if self._share_folder() and self.filename_tmpl["img"] != self.filename_tmpl["gt"]:
            # The LR images lie here too, and the template of HR may match them.
            lr_files = {self.templates["img"].fill(name) for name in names}
            names = {name for name in names if self.templates["gt"].fill(name) not in lr_files}
        if not names:
            raise FileNotFoundError(
                f"data_prefix.gt: no image in {folder} ({', '.join(self.img_suffix)}; "
                f"filename_tmpl.gt={self.filename_tmpl['gt']!r}). {PREPARE}"
            )
        counts = Counter(osp.splitext(name)[0] for name in names)
        twice = sorted(stem for stem, count in counts.items() if count > 1)
        if twice:
            raise ValueError(f"{folder} has several images named {', '.join(twice[:3])}")
        return list(names)

    def _share_folder(self) -> bool:
        return osp.realpath(self.data_prefix["img"]) == osp.realpath(self.data_prefix["gt"])

    def _hr_files(self, names: list[str]) -> set[str]:
        """HR files that lie in the folder of the LR images."""
        if not self._share_folder():
            return set()
        return {self.templates["gt"].fill(name) for name in names}

    def _pair(self, name: str) -> dict[str, str]:
        files = {key: self.templates[key].fill(name) for key in ("img", "gt")}
        paths = {f"{key}_path": osp.join(self.data_prefix[key], files[key]) for key in files}
        return {"key": osp.splitext(name)[0], **paths}

    def _require_names(self, pairs: list[dict], extra: list[str]) -> None:
        keys = ("img_path", "gt_path") if self.use_ann_file else ("img_path",)
        paths = [pair[key] for pair in pairs for key in keys]
        missing = [osp.basename(path) for path in paths if not osp.isfile(path)]
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

    def _require_sizes(self, pairs: list[dict]) -> None:
        """Compares the sizes of all pairs with each other and with the patches."""
        transforms = self.pipeline.transforms
        cuts = any(isinstance(transform, RandomPatch) for transform in transforms)
        if cuts != (self.patch_size is not None):
            has, lacks = ("RandomPatch", "patch_size") if cuts else ("patch_size", "RandomPatch")
            raise ValueError(f"PairedImageDataset: {has} is given, {lacks} is not; set both.")
        smallest = smallest_size(transforms, self.patch_size)
        if smallest is not None and any(length % self.scale for length in smallest):
            raise ValueError(f"patch_size={smallest[0]} must be a multiple of scale={self.scale}")
        limit = [t.max_pixels for t in transforms if isinstance(t, LoadImageFromFile)]
        sizes = {
            path: image_size(path, max(limit, default=MAX_PIXELS))
            for path in dict.fromkeys(
                pair[key] for pair in pairs for key in ("img_path", "gt_path")
            )
        }
        spare = self.scale - 1 if any(isinstance(t, ModCrop) for t in transforms) else 0
        for pair in pairs:
            lr, hr = sizes[pair["img_path"]], sizes[pair["gt_path"]]
            rest = [big - self.scale * small for big, small in zip(hr, lr, strict=True)]
            if not all(0 <= length <= spare for length in rest):
                raise ValueError(
                    f"{pair['gt_path']} ({hr[0]}x{hr[1]}) is not scale={self.scale} times "
                    f"{pair['img_path']} ({lr[0]}x{lr[1]}; height x width). {PREPARE}"
                )
        if smallest is None:
            return
        small = [
            f"{pair['gt_path']} ({hr[0]}x{hr[1]})"
            for pair in pairs
            if (hr := sizes[pair["gt_path"]])[0] < smallest[0] or hr[1] < smallest[1]
        ]
        if small:
            raise ValueError(
                f"The patches need HR images of at least {smallest[0]}x{smallest[1]} pixels: "
                f"{_shorten('smaller', small)}leave them out, or choose a smaller patch_size."
            )


def _strict(transform: dict | Callable) -> dict | Callable:
    """Puts the strict loading in the place of mmagic's."""
    names = ("LoadImageFromFile", "mmagic.LoadImageFromFile")
    if not isinstance(transform, dict) or transform.get("type") not in names:
        return transform
    arguments = {key: value for key, value in transform.items() if key != "type"}
    return LoadImageFromFile(**{"channel_order": "bgr", **arguments})


def _fill(template: str, scale: int) -> str:
    return template.replace("{scale}", str(scale))


def _shorten(what: str, names: list[str]) -> str:
    if not names:
        return ""
    return f"{len(names)} {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''}); "
