"""What contenders are tested on: any folder of images, or the test sets of a config."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmsrnas.datasets.checks import color_types, dataloaders, leaves
from mmsrnas.datasets.prepare import list_images, write_pairs
from mmsrnas.registry import DATASETS

from .contenders import Contender

__all__ = ["folder_as_test_set", "require_fit"]


def folder_as_test_set(
    images: str | Path,
    out: str | Path,
    scale: int,
    lr: str | Path | None = None,
    sigma: float = 25.0,
    in_channels: int = 3,
) -> Config:
    """The test part of a config, for any folder of images.

    PSNR and SSIM are those of papers: on Y, called ``NAME/PSNR``, and on RGB, ``NAME-RGB/PSNR``,
    with a border of ``scale`` pixels left out; for noise on all channels and without a border.

    Args:
        images: Folder of HR images, or one with ``HR`` and ``LR_bicubic/X2`` (for scale 2) in it.
        out: Folder in which LR images are made where there are none.
        scale: Ratio of HR to LR size; 1 for images to which noise is added.
        lr: Folder of LR images, called like the HR images or with ``x2`` (for scale 2) behind.
        sigma: Standard deviation of the noise in 0..255, for scale 1.
        in_channels: Channels that are read, 1 or 3.

    Raises:
        FileNotFoundError: There is no image.
        ValueError: An image cannot be read.
    """
    folder = Path(images)
    if not folder.is_dir():
        raise FileNotFoundError(f"IMAGES: no folder '{folder}'.")
    name = folder.resolve().name
    hr = folder / "HR" if (folder / "HR").is_dir() else folder
    paired = folder / f"LR_bicubic/X{scale}"
    if scale == 1:
        lr = hr
    elif lr is None and hr != folder and paired.is_dir():
        lr = paired
    elif lr is None:
        write_pairs(hr, out, [scale])
        hr, lr = Path(out) / "HR", Path(out) / f"LR_bicubic/X{scale}"
    dataset = dict(
        type="mmsrnas.PairedImageDataset",
        scale=scale,
        data_root=".",
        data_prefix=dict(img=str(lr), gt=str(hr)),
        filename_tmpl=dict(img=_template(Path(lr), hr, scale), gt="{}"),
        pipeline=_pipeline(scale, sigma, in_channels),
        test_mode=True,
    )
    loader = dict(
        num_workers=0, sampler=dict(type="DefaultSampler", shuffle=False), dataset=dataset
    )
    kinds: dict[str, dict[str, Any]] = {name: {}}
    if scale > 1:
        kinds[name] = dict(crop_border=scale, convert_to="Y" if in_channels == 3 else None)
        if in_channels == 3:
            kinds[f"{name}-RGB"] = dict(crop_border=scale)
    metrics = [
        dict(type=f"mmsrnas.{metric}", prefix=prefix, **protocol)
        for prefix, protocol in kinds.items()
        for metric in ("PSNR", "SSIM")
    ]
    return Config(
        dict(
            test_dataloader=[loader],
            test_evaluator=[dict(type="Evaluator", metrics=metrics)],
            test_cfg=dict(type="MultiTestLoop"),
        )
    )


def _template(lr: Path, hr: Path, scale: int) -> str:
    """How the LR images are called."""
    stems = {path.stem for path in list_images(hr)}
    is_plain = any(path.stem in stems for path in list_images(lr))
    return "{}" if is_plain else f"{{}}x{scale}"


def _pipeline(scale: int, sigma: float, in_channels: int) -> list[dict[str, Any]]:
    color = "color" if in_channels == 3 else "grayscale"
    keys = ["gt"] if scale == 1 else ["img", "gt"]
    steps: list[dict[str, Any]] = [
        dict(type="mmsrnas.LoadImageFromFile", key=key, color_type=color) for key in keys
    ]
    if scale == 1:
        steps.append(dict(type="mmsrnas.AddGaussianNoise", sigma=sigma, seed=0))
    else:
        steps.append(dict(type="ModCrop", key="gt"))
    return [*steps, dict(type="PackInputs")]


def require_fit(test_cfg: Config, contenders: Sequence[Contender]) -> None:
    """Refuses test sets that cannot be read, and contenders of another scale or other channels.

    Args:
        test_cfg: Config with ``test_dataloader``.
        contenders: The contenders.

    Raises:
        FileNotFoundError: There are no images.
        ValueError: A contender does not fit; the message names it and the data set.
    """
    init_default_scope("mmagic")
    for key, loader in dataloaders(test_cfg, "test"):
        for dataset in leaves(loader):
            scale = dataset.get("scale")
            channels = {"color": 3, "grayscale": 1}.get("".join(color_types(dataset)))
            for c in contenders:
                if scale is not None and scale != c.upscale_factor:
                    raise ValueError(
                        f"{key}.dataset.scale is {scale}; {c.name} has scale {c.upscale_factor}."
                    )
                if channels and c.in_channels not in (None, channels):
                    raise ValueError(
                        f"{key}.dataset reads images of {channels} channels; {c.name} takes "
                        f"{c.in_channels}."
                    )
            DATASETS.build(dataset)
