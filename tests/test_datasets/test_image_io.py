"""What is read is right to the value; what is refused is named."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from mmsrnas.datasets.image_io import has_color, image_size, printable, read_image

RNG = np.random.default_rng(0)


@pytest.fixture
def rgb():
    coarse = RNG.integers(0, 256, (6, 8, 3), np.uint8)
    return cv2.resize(coarse, (64, 48), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.webp", "a.ppm", "a.JPG"])
def test_color(tmp_path, rgb, name):
    options = {"lossless": True} if "webp" in name else {}
    Image.fromarray(rgb).save(tmp_path / name, **options)
    image = read_image(tmp_path / name)
    assert image.dtype == np.uint8
    assert image.flags.writeable
    if name == "a.JPG":  # both are libjpeg
        assert np.array_equal(image, cv2.imread(str(tmp_path / name))[..., ::-1])
    else:
        assert np.array_equal(image, rgb)
    assert image_size(tmp_path / name) == (48, 64)


def test_the_content_decides_about_the_format(tmp_path, rgb):
    Image.fromarray(rgb).save(tmp_path / "a.jpg", format="PNG")
    assert np.array_equal(read_image(tmp_path / "a.jpg"), rgb)


def test_gray_from_color_is_bt601_and_the_luma_of_a_jpeg(tmp_path, rgb):
    Image.fromarray(rgb).save(tmp_path / "a.png")
    expected = rgb @ np.array([0.299, 0.587, 0.114])
    assert np.abs(read_image(tmp_path / "a.png", "grayscale") - expected).max() <= 0.51
    Image.fromarray(rgb).save(tmp_path / "a.jpg")
    stored = cv2.imread(str(tmp_path / "a.jpg"), cv2.IMREAD_GRAYSCALE)
    assert np.array_equal(read_image(tmp_path / "a.jpg", "grayscale"), stored)


def test_color_from_gray_bilevel_and_palette(tmp_path, rgb):
    gray = rgb[..., 0]
    images = {
        "gray": (Image.fromarray(gray), gray),
        "bilevel": (Image.fromarray(gray > 127), np.where(gray > 127, 255, 0)),
        "opaque": (Image.fromarray(np.dstack([gray, np.full_like(gray, 255)])), gray),
    }
    for name, (image, expected) in images.items():
        image.save(tmp_path / f"{name}.png")
        found = read_image(tmp_path / f"{name}.png")
        assert np.array_equal(found, np.repeat(expected[..., None], 3, axis=2)), name
        assert not has_color(tmp_path / f"{name}.png")
    palette = Image.fromarray(rgb).quantize(16)
    palette.save(tmp_path / "palette.png")
    assert np.array_equal(read_image(tmp_path / "palette.png"), np.array(palette.convert("RGB")))
    assert has_color(tmp_path / "palette.png")


def test_an_opaque_alpha_channel_is_dropped(tmp_path, rgb):
    Image.fromarray(np.dstack([rgb, np.full((48, 64), 255, np.uint8)])).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png"), rgb)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_orientation_of_exif_is_applied(tmp_path, rgb, orientation, suffix):
    stored = {
        1: rgb,
        2: rgb[:, ::-1],
        3: rgb[::-1, ::-1],
        4: rgb[::-1],
        5: rgb.swapaxes(0, 1),
        6: np.rot90(rgb),  # shown turned clockwise
        7: np.rot90(rgb.swapaxes(0, 1), 2),
        8: np.rot90(rgb, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, **options)
    assert np.array_equal(read_image(path), rgb)
    assert image_size(path) == (48, 64)


def test_a_phone_photograph_with_previews_is_read(tmp_path, rgb):
    image = Image.fromarray(rgb)
    image.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[image], quality=95)
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - rgb).mean() < 5


def test_zeros_in_the_place_of_the_rest_of_a_jpeg_are_refused(tmp_path, rgb):
    """The state of a download whose file was laid out in advance."""
    exif = Image.Exif()
    thumbnail = io.BytesIO()
    Image.fromarray(rgb[::4, ::4]).save(thumbnail, "JPEG")
    exif[0x9286] = thumbnail.getvalue()  # holds an end marker of its own
    Image.fromarray(rgb).save(tmp_path / "a.jpg", exif=exif)
    data = (tmp_path / "a.jpg").read_bytes()
    cut = len(data) - 300
    (tmp_path / "a.jpg").write_bytes(data[:cut] + bytes(len(data) - cut))
    with pytest.raises(ValueError, match=r"a\.jpg: it is truncated"):
        read_image(tmp_path / "a.jpg")


def png_with_size(width, height):
    """A PNG of some bytes that promises any size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("read", [read_image, image_size])
def test_pixel_bombs_are_refused_before_they_are_decoded(tmp_path, read):
    (tmp_path / "a.png").write_bytes(png_with_size(13_000, 13_000))
    with pytest.raises(ValueError, match=r"a\.png: its 13000x13000 pixels .*max_pixels=134217728"):
        read(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(png_with_size(2**31 - 1, 2**31 - 1))
    with pytest.raises(ValueError, match=r"cannot read image .*b\.png"):
        read(tmp_path / "b.png")
    (tmp_path / "c.png").write_bytes(png_with_size(100, 100))
    with pytest.raises(ValueError, match="max_pixels=9999"):
        read(tmp_path / "c.png", max_pixels=9999)


def test_printable_names_never_fail():
    assert printable("a/é.png") == "a/é.png"
    assert printable(b"caf\xe9.png".decode("utf-8", "surrogateescape")) == "caf\\xe9.png"
