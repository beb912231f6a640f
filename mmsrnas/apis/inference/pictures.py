"""Picture files of every kind that cameras and editors write, read and written without loss.

Training and tests read through :mod:`mmsrnas.datasets.image_io`, which is stricter: it refuses what
has no one meaning for a metric. Here nothing of a picture is lost that the file format can keep:
16 bits, gray, transparency, the colour profile, EXIF.
"""

import zlib
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageCms, ImageFile

from mmsrnas.datasets.image_io import (
    FORMATS,
    MAX_PIXELS,
    ORIENTATION,
    TRANSPOSE,
    describe_failure,
    is_deep,
    is_whole_jpeg,
    orientation_of,
    ppm_maximum,
    require_one_image,
)
from mmsrnas.files import atomic_write

__all__ = ["Picture", "read_picture", "write_picture"]

ALPHA_SUFFIXES = (".png", ".tif", ".tiff", ".webp")
DEEP_SUFFIXES = (".png", ".tif", ".tiff", ".ppm", ".pgm")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
JPEG_QUALITY = 95
PNG_HEADER = 8 + 25  # signature and IHDR


@dataclass(frozen=True)
class Picture:
    """A picture in memory.

    Attributes:
        pixels: Gray ``(H, W, 1)`` or RGB ``(H, W, 3)``, uint8 or uint16.
        alpha: Opacity ``(H, W)`` of the same type, None where the picture has none.
        icc_profile: Colour profile of the pixels.
        exif: EXIF data without the orientation, which the pixels have.
        notes: What was changed in reading, for the user.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    icc_profile: bytes | None = None
    exif: bytes | None = None
    notes: tuple[str, ...] = field(default=())

    def with_pixels(self, pixels: np.ndarray) -> "Picture":
        """The picture with other pixels; the alpha channel follows their size, by bicubic steps."""
        alpha = self.alpha
        height, width = pixels.shape[:2]
        if alpha is not None and alpha.shape != (height, width):
            limit = np.iinfo(alpha.dtype).max
            big = cv2.resize(alpha.astype(np.float32), (width, height), None, 0, 0, cv2.INTER_CUBIC)
            alpha = np.rint(big.clip(0, limit)).astype(alpha.dtype)
        return replace(self, pixels=pixels, alpha=alpha)


def read_picture(path: str | Path, max_pixels: int = MAX_PIXELS) -> Picture:
    """Picture of a file, upright, in gray or RGB.

    CMYK becomes sRGB, by its profile where it has one; a palette becomes RGB.

    Args:
        path: PNG, JPEG, BMP, TIFF, WebP, PPM or PGM; the content decides, not the ending.
        max_pixels: Larger pictures are refused before they are decoded.

    Raises:
        ValueError: The file is damaged or of a kind that is not read; it is named, with the reason.
    """
    try:
        data = Path(path).read_bytes()
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > max_pixels:
                raise ValueError(
                    f"its {image.height}x{image.width} pixels are more than {max_pixels}"
                )
            require_one_image(image)
            if image.format in ("JPEG", "MPO") and not is_whole_jpeg(data):
                raise ValueError("it is truncated: the end of the image is missing")
            return _read_deep(image, data) if is_deep(image) else _read_8_bits(image)
    except Exception as error:  # decoders of damaged files raise errors of every kind
        raise ValueError(describe_failure(path, error)) from error


def _read_8_bits(image: ImageFile.ImageFile) -> Picture:
    icc_profile, transpose = image.info.get("icc_profile"), TRANSPOSE.get(orientation_of(image))
    exif = _exif(image)
    plain, notes = _to_plain_mode(image, icc_profile)
    if notes and image.mode == "CMYK":
        icc_profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    if transpose is not None:
        plain = plain.transpose(transpose)
    pixels = np.array(plain)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    color, alpha = _split_alpha(pixels)
    return Picture(color, alpha, icc_profile, exif, notes)


def _to_plain_mode(
    image: Image.Image, icc_profile: bytes | None
) -> tuple[Image.Image, tuple[str, ...]]:
    """The picture as L, LA, RGB or RGBA, and what that changed."""
    has_alpha = "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBA", "RGBa")
    if image.mode in ("1", "L", "LA", "La"):
        return image.convert("LA" if has_alpha else "L"), ()
    if image.mode in ("P", "PA", "RGB", "RGBA", "RGBa", "YCbCr"):
        return image.convert("RGBA" if has_alpha else "RGB"), ()
    if image.mode == "CMYK":
        return _to_srgb(image, icc_profile), ("CMYK became sRGB",)
    raise ValueError(f"its colour space is {image.mode}; convert it to RGB first")


def _to_srgb(image: Image.Image, icc_profile: bytes | None) -> Image.Image:
    if not icc_profile:
        return image.convert("RGB")
    source, target = ImageCms.ImageCmsProfile(BytesIO(icc_profile)), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    assert converted is not None  # it is None only in place
    return converted


def _read_deep(image: ImageFile.ImageFile, data: bytes) -> Picture:
    """A picture of 16 bits, which Pillow checks and OpenCV decodes."""
    if image.format == "PPM":
        return Picture(_read_deep_ppm(image, data))
    icc_profile, transpose = image.info.get("icc_profile"), TRANSPOSE.get(orientation_of(image))
    exif = _exif(image)
    image.load()  # OpenCV takes a truncated file for a whole one
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        kind = "a kind that is not decoded" if pixels is None else str(pixels.dtype)
        raise ValueError(f"its channels are {kind}; convert it to 8 or 16 bits first")
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    color, alpha = _split_alpha(pixels)
    if color.shape[2] == 3:
        gray_alpha = image.mode in ("LA", "I;16")
        color = color[..., :1] if gray_alpha else color[..., ::-1]
    if transpose is not None:
        color, alpha = (_transposed(a, transpose) for a in (color, alpha))
    assert color is not None
    return Picture(np.ascontiguousarray(color), alpha, icc_profile, exif)


def _read_deep_ppm(image: ImageFile.ImageFile, data: bytes) -> np.ndarray:
    """PPM and PGM of 9 to 16 bits: numbers with the high byte first, behind the header."""
    _, _, offset, _ = image.tile[0]
    channels = 1 if data.startswith(b"P5") else 3
    if not data.startswith((b"P5", b"P6")):
        raise ValueError("it is a text file of more than 8 bits; convert it to a binary one")
    count = image.height * image.width * channels
    if len(data) < offset + 2 * count:
        raise ValueError("it is truncated")
    values = np.frombuffer(data, ">u2", count, offset).reshape(image.height, image.width, channels)
    return np.rint(values * (65535 / ppm_maximum(image))).astype(np.uint16)


def _split_alpha(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    if pixels.shape[2] in (2, 4):
        return np.ascontiguousarray(pixels[..., :-1]), np.ascontiguousarray(pixels[..., -1])
    return pixels, None


def _transposed(array: np.ndarray | None, how: Image.Transpose) -> np.ndarray | None:
    """What ``Image.transpose`` does, for 16 bits."""
    if array is None:
        return None
    turns = {
        Image.Transpose.FLIP_LEFT_RIGHT: lambda a: a[:, ::-1],
        Image.Transpose.FLIP_TOP_BOTTOM: lambda a: a[::-1],
        Image.Transpose.ROTATE_90: lambda a: np.rot90(a),
        Image.Transpose.ROTATE_180: lambda a: np.rot90(a, 2),
        Image.Transpose.ROTATE_270: lambda a: np.rot90(a, 3),
        Image.Transpose.TRANSPOSE: lambda a: a.swapaxes(0, 1),
        Image.Transpose.TRANSVERSE: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    }
    return np.ascontiguousarray(turns[how](array))


def _exif(image: Image.Image) -> bytes | None:
    """EXIF data without the orientation; those of a PNG only where they precede the pixels."""
    if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
        return None
    exif = image.getexif()
    exif.pop(ORIENTATION, None)
    return exif.tobytes() if len(exif) else None


def write_picture(picture: Picture, path: str | Path) -> None:
    """Writes a picture in the format that the ending of the file says, whole or not at all.

    Args:
        picture: The picture; 16 bits become 8 where the format has no more.
        path: Target file.

    Raises:
        ValueError: The format is unknown, or has no transparency and the picture has.
    """
    path = Path(path)
    check_format(path.suffix, has_alpha=picture.alpha is not None, path=path)
    pixels, alpha = picture.pixels, picture.alpha
    suffix = path.suffix.lower()
    if pixels.dtype == np.uint16 and suffix not in DEEP_SUFFIXES:
        pixels = np.rint(pixels / 257).astype(np.uint8)
        alpha = None if alpha is None else np.rint(alpha / 257).astype(np.uint8)
    if suffix == ".pgm" and pixels.shape[2] == 3:
        raise ValueError(f"{path}: PGM is gray, the picture has colours; take .ppm or .png.")
    picture = replace(picture, pixels=pixels, alpha=alpha)
    with atomic_write(path) as part:
        (_write_deep if pixels.dtype == np.uint16 else _write_8_bits)(picture, part)


def check_format(suffix: str, has_alpha: bool = False, path: str | Path = "") -> None:
    """Refuses an ending that is not written.

    Args:
        suffix: Ending with its dot, in any case.
        has_alpha: Whether the picture has transparency.
        path: For the message.

    Raises:
        ValueError: The ending is none of those, or its format has no transparency.
    """
    named = f"{path}: " if path else ""
    if suffix.lower() not in SUFFIXES:
        raise ValueError(
            f"{named}pictures are written as {', '.join(SUFFIXES)}, not as {suffix!r}."
        )
    if has_alpha and suffix.lower() not in ALPHA_SUFFIXES:
        raise ValueError(
            f"{named}the picture has transparency, which {suffix} cannot hold; "
            f"take {', '.join(ALPHA_SUFFIXES)}."
        )


def _write_8_bits(picture: Picture, path: Path) -> None:
    pixels = picture.pixels[..., 0] if picture.pixels.shape[2] == 1 else picture.pixels
    if picture.alpha is not None:
        pixels = np.dstack([picture.pixels, picture.alpha])
    options: dict[str, Any] = {
        "icc_profile": picture.icc_profile,
        **({"exif": picture.exif} if picture.exif else {}),
    }
    match path.suffix.lower():
        case ".jpg" | ".jpeg":
            options |= {"quality": JPEG_QUALITY, "subsampling": 0}
        case ".webp":
            options |= {"lossless": True}
        case ".png":
            options |= {"compress_level": 3}
        case ".tif" | ".tiff":
            options |= {"compression": "tiff_adobe_deflate"}
        case _:
            options = {}
    Image.fromarray(pixels).save(path, **options)


def _write_deep(picture: Picture, path: Path) -> None:
    pixels, alpha = picture.pixels, picture.alpha
    if path.suffix.lower() in (".tif", ".tiff"):
        _write_deep_tiff(picture, path)
        return
    if path.suffix.lower() in (".ppm", ".pgm"):
        height, width, channels = pixels.shape
        header = f"P{5 if channels == 1 else 6}\n{width} {height}\n65535\n".encode()
        path.write_bytes(header + pixels.astype(">u2").tobytes())
        return
    if alpha is not None and pixels.shape[2] == 1:  # OpenCV writes no gray with alpha
        pixels = pixels.repeat(3, axis=2)
    bgr = pixels[..., ::-1]
    done, data = cv2.imencode(path.suffix, bgr if alpha is None else np.dstack([bgr, alpha]))
    if not done:
        raise ValueError(f"OpenCV could not encode {path.suffix}")
    content = data.tobytes()
    if path.suffix.lower() == ".png":
        content = _with_chunks(content, picture)
    path.write_bytes(content)


def _write_deep_tiff(picture: Picture, path: Path) -> None:
    import tifffile  # an optional package: Pillow and OpenCV write no profile beside 16 bits

    pixels = picture.pixels
    options: dict[str, Any] = {"photometric": "rgb" if pixels.shape[2] == 3 else "minisblack"}
    if picture.alpha is not None:
        pixels = np.dstack([pixels, picture.alpha])
        options["extrasamples"] = ["unassalpha"]
    pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    tifffile.imwrite(path, pixels, iccprofile=picture.icc_profile, metadata=None, **options)


def _with_chunks(png: bytes, picture: Picture) -> bytes:
    """A PNG with colour profile and EXIF, which stand before the pixels."""
    chunks = b""
    if picture.icc_profile:
        chunks += _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(picture.icc_profile))
    if picture.exif:
        chunks += _chunk(b"eXIf", picture.exif.removeprefix(b"Exif\0\0"))
    return png[:PNG_HEADER] + chunks + png[PNG_HEADER:]


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
