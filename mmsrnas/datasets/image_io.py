"""Image files: which ones are read, and how.  Converters and training share what is here.

An image is 8-bit colour or gray.  Decided once, for every reader:

* The format follows the content, not the ending: PNG, JPEG, BMP, TIFF, WebP, PPM and PGM.
* A truncated or damaged file is refused, never read in part.
* The orientation that EXIF notes is applied, to HR and LR images alike.
* Gray, black-and-white and palette images become RGB where colour is asked for; colour becomes gray
  by BT.601 (JPEG: its own luma).
* An alpha channel is dropped where it is opaque, and refused where it is not.
* More than 8 bits per channel, CMYK and other colour spaces, and files of several images are
  refused: how they become 8-bit RGB is for the owner of the images to decide.
"""

import os
from io import BytesIO
from pathlib import Path
from typing import cast

import numpy as np
from PIL import Image, ImageFile

__all__ = [
    "FORMATS",
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "ORIENTATION",
    "TRANSPOSE",
    "describe_failure",
    "has_color",
    "image_size",
    "is_deep",
    "is_whole_jpeg",
    "orientation_of",
    "ppm_maximum",
    "printable",
    "read_image",
    "require_one_image",
]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
"""Endings of image files, in lower case; those of files may have any case."""

MAX_PIXELS = 2**27
"""Pixels that an image may have (134 million, 400 MB in memory) where no other bound is given."""

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM")
Image.init()  # registers those that Pillow does not load by itself
OPAQUE_MODES = ("1", "L", "RGB")
ALPHA_MODES = ("LA", "PA", "RGBA", "P")  # a palette may have transparent entries
ORIENTATION = 0x0112  # tag of EXIF
TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_image(
    path: str | Path, color_type: str = "color", max_pixels: int = MAX_PIXELS
) -> np.ndarray:
    """Image of a file, decoded strictly.

    Args:
        path: The file.
        color_type: ``'color'`` or ``'grayscale'``.
        max_pixels: Larger images are refused before they are decoded.

    Returns:
        RGB ``(H, W, 3)`` or gray ``(H, W)``, uint8.

    Raises:
        ValueError: The file cannot be read, or is not what this module takes; it is named.
    """
    if color_type not in ("color", "grayscale"):
        raise ValueError(f"color_type: expected 'color' or 'grayscale', got {color_type!r}")
    try:
        _require_file(path)
        data = Path(path).read_bytes()
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            _require_kind(image, max_pixels)
            if image.format in ("JPEG", "MPO") and not is_whole_jpeg(data):
                raise ValueError("it is truncated: the end of the image is missing")
            transpose = _transpose(image)
            if color_type == "grayscale":
                image.draft("L", image.size)  # the luma of a JPEG, as it is stored
            pixels = _without_alpha(image).convert("RGB" if color_type == "color" else "L")
    except Exception as error:  # decoders of damaged files raise errors of every kind
        raise ValueError(describe_failure(path, error)) from error
    return np.array(pixels if transpose is None else pixels.transpose(transpose))


def image_size(path: str | Path, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Height and width in pixels that ``read_image`` gives, from the header alone.

    Raises:
        ValueError: The header cannot be read, or is that of an image that is not taken.
    """
    try:
        _require_file(path)
        with Image.open(path, formats=FORMATS) as image:
            _require_kind(image, max_pixels)
            width, height = image.size
            turned = orientation_of(image) > 4
    except Exception as error:
        raise ValueError(describe_failure(path, error)) from error
    return (width, height) if turned else (height, width)


def has_color(path: str | Path) -> bool:
    """Whether any pixel of an image has unequal channels."""
    image = read_image(path)
    return bool((image != image[..., :1]).any())


def printable(path: str | Path) -> str:
    """A path that any terminal can print: bytes that are not UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def describe_failure(path: str | Path, error: Exception) -> str:
    """The message for a file that a decoder refused."""
    if isinstance(error, OSError) and error.strerror:
        reason = error.strerror
    else:  # Pillow names the buffer that it reads
        reason = str(error).split(" <_io.")[0] or type(error).__name__
    return f"cannot read image {printable(path)}: {reason}"


def _require_file(path: str | Path) -> None:
    """Refuses pipes and devices, which would be waited for."""
    if Path(path).exists() and not Path(path).is_file():
        raise ValueError("it is no file")


def _require_kind(image: ImageFile.ImageFile, max_pixels: int) -> None:
    """Refuses what this module does not take, from the header."""
    if image.width * image.height > max_pixels:
        raise ValueError(
            f"its {image.height}x{image.width} pixels are more than max_pixels={max_pixels}"
        )
    if is_deep(image):
        raise ValueError("it has more than 8 bits per channel; convert it to 8 bits first")
    if image.mode not in OPAQUE_MODES + ALPHA_MODES:
        raise ValueError(f"its colour space is {image.mode}; convert it to RGB first")
    require_one_image(image)


def is_deep(image: ImageFile.ImageFile) -> bool:
    """Whether the channels of an opened file have more than 8 bits."""
    deep = image.mode[0] in "IF" or ";16" in str(image.tile)
    return deep or (image.format == "PPM" and ppm_maximum(image) > 255)


def require_one_image(image: ImageFile.ImageFile) -> None:
    """Refuses animations and documents of several pages.

    Raises:
        ValueError: With the number of images.
    """
    # The further images of a JPEG (MPO) are previews of the first one.
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        raise ValueError(f"it holds {frames} images; extract the one you want")


def ppm_maximum(image: ImageFile.ImageFile) -> int:
    """Value of white in a PPM or PGM file that was opened, but not decoded."""
    arguments = image.tile[0][3]
    if isinstance(arguments, tuple):
        return arguments[-1]
    return 65535 if image.mode[0] == "I" else 255


def is_whole_jpeg(jpeg: bytes) -> bool:
    """Whether the end marker follows the first scan.

    libjpeg takes zeros for pixels, with which some programs fill what they did not receive.
    Thumbnails, which have an end marker of their own, lie in segments before the scan.
    """
    at = 2
    while jpeg[at : at + 1] == b"\xff" and jpeg[at + 1] != 0xDA:
        is_padding = jpeg[at + 1] == 0xFF
        at += 1 if is_padding else 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return jpeg.find(b"\xff\xd9", at) >= 0


def orientation_of(image: Image.Image) -> int:
    """EXIF orientation of an opened file, 1 where the pixels stand upright."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # getexif() would decode the whole image in search of it
    if image.format == "TIFF":
        return 1  # Pillow applies it itself
    return image.getexif().get(ORIENTATION, 1)


def _transpose(image: Image.Image) -> Image.Transpose | None:
    return TRANSPOSE.get(orientation_of(image))


def _without_alpha(image: Image.Image) -> Image.Image:
    if image.mode not in ALPHA_MODES:
        return image
    image = image.convert("RGBA")
    lowest = cast(int, image.getchannel("A").getextrema()[0])
    if lowest < 255:
        raise ValueError("it has transparent pixels; put it on a background first")
    return image
