"""mmagic's inferencer with the names of our methods."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from mmagic.apis import MMagicInferencer as StockInferencer
from mmagic.structures import DataSample

import mmsrnas
from mmsrnas.apis.inference import Picture, Restorer, read_picture, write_picture

__all__ = ["MMagicInferencer"]

METHODS = ("dlsr", "hnas", "hinas", "drn", "drc")


class MMagicInferencer(StockInferencer):
    """mmagic's class of the same name, for our networks too.

    ``MMagicInferencer("dlsr", model_ckpt="dlsr_x2.pth").infer("small.png",
    result_out_dir="large.png")`` gives the bytes of ``mmsrnas infer``. Names of mmagic's own models
    go to mmagic.

    Args:
        model_name: One of our methods, or a model of mmagic.
        model_setting: Number of the config in the method's ``metafile.yml``; needed only for a
            checkpoint that does not say which network it is of.
        config_name: Name of that config instead.
        model_config: Path of that config instead.
        model_ckpt: The checkpoint.
        device: As torch names it.
        kwargs: Arguments of :class:`~mmsrnas.apis.inference.Restorer` for our networks, and of
            mmagic's class for its own.

    Raises:
        ValueError: One of our names without a checkpoint, or a checkpoint of another network.
    """

    def __init__(
        self,
        model_name: str | None = None,
        model_setting: int | None = None,
        config_name: str | None = None,
        model_config: str | None = None,
        model_ckpt: str | None = None,
        device: Any = None,
        **kwargs: Any,
    ) -> None:
        self.restorer: Restorer | None = None
        if model_name not in METHODS:
            stock: Any = super().__init__
            stock(
                model_name, model_setting, config_name, model_config, model_ckpt, device, **kwargs
            )
            return
        if model_ckpt is None:
            raise ValueError(
                f"model_ckpt: '{model_name}' needs a checkpoint; train one, or convert."
            )
        if model_setting is not None or config_name is not None:
            model_config = model_config or str(_config_of(model_name, model_setting, config_name))
        self.restorer = Restorer(
            model_ckpt, model_config, str(device) if device is not None else None, **kwargs
        )

    def infer(self, img: Any = None, *args: Any, result_out_dir: str = "", **kwargs: Any) -> Any:
        """Restores an image.

        Args:
            img: Path of the image, or BGR ``(H, W, 3)`` or gray ``(H, W)``, uint8.
            args: As in mmagic, for its own models.
            result_out_dir: Target file; none is written where it is empty.
            kwargs: As in mmagic, for its own models.

        Returns:
            ``{'infer_results': DataSample}``, whose ``output.pred_img`` is ``(C, H, W)`` in 0..255,
            and the image, BGR or gray.
        """
        if self.restorer is None:
            return super().infer(img, *args, result_out_dir=result_out_dir, **kwargs)
        if isinstance(img, np.ndarray):
            picture = Picture((img[..., ::-1] if img.ndim == 3 else img[..., None]).copy())
        else:
            picture = read_picture(img)
        picture = self.restorer.picture(picture)
        if result_out_dir:
            Path(result_out_dir).parent.mkdir(parents=True, exist_ok=True)
            write_picture(picture, result_out_dir)
        pixels = picture.pixels
        prediction = torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32))
        sample = DataSample(output=DataSample(pred_img=prediction))
        image = pixels[..., 0] if pixels.shape[2] == 1 else pixels[..., ::-1]
        return {"infer_results": sample}, np.ascontiguousarray(image)


def _config_of(method: str, setting: int | None, name: str | None) -> Path:
    """A config of a method, as mmagic's class finds those of its models."""
    package = Path(mmsrnas.__path__[0])
    root = next(r for r in (package / ".mim", package.parent) if (r / "configs").is_dir())
    models = yaml.safe_load((root / f"configs/{method}/metafile.yml").read_text())["Models"]
    named = {model["Name"]: model["Config"] for model in models}
    if name is None:
        return root / models[setting or 0]["Config"]
    if name not in named:
        raise ValueError(f"config_name: '{method}' has {', '.join(named)}, not {name!r}.")
    return root / named[name]
