"""Kinds of picture files: each comes out right, or with a message that names what is wrong."""

import struct
import zlib
from io import BytesIO

import cv2
import numpy as np
import pytest
import tifffile
from networks import nearest
from PIL import Image, ImageCms

from mmsrnas.apis.inference import Restorer, read_picture
from mmsrnas.apis.inference.pictures import Picture, write_picture

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (12, 10, 3), np.uint8)
GRAY = RNG.integers(0, 256, (12, 10), np.uint8)
ALPHA = np.full((12, 10), 200, np.uint8)
RGB16 = RNG.integers(0, 65536, (12, 10, 3), np.uint16)
GRAY16 = RNG.integers(0, 65536, (12, 10), np.uint16)
ALPHA16 = np.full((12, 10), 50_000, np.uint16)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def save(array, mode=None, **options):
    def write(path):
        image = Image.fromarray(array)
        (image.convert(mode) if mode else image).save(path, **options)

    return write


def encode(array):
    return lambda path: path.write_bytes(cv2.imencode(path.suffix, array)[1].tobytes())


def tiff(array, **options):
    return lambda path: tifffile.imwrite(path, array, **options)


def oriented(array, orientation, format):
    def write(path):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(array).save(path, format, exif=exif, quality=100, subsampling=0)

    return write


def oriented_deep_png(path):
    exif = Image.Exif()
    exif[0x0112] = 6
    write_picture(Picture(RGB16, None, SRGB, exif.tobytes()), path)


def palette(transparent):
    def write(path):
        image = Image.fromarray(RGB // 128 * 128).quantize(16)
        image.save(path, **({"transparency": 0} if transparent else {}))

    return write


def cut(write, share=0.6):
    def broken(path):
        write(path)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return broken


def bomb(path):
    """A PNG that says it has 10^10 pixels."""
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunks = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b""))
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


def pages(path):
    images = [Image.fromarray(RGB), Image.fromarray(RGB[::-1])]
    images[0].save(path, save_all=True, append_images=images[1:])


def pgm(maximum):
    def write(path):
        values = (GRAY16.astype(int) % (maximum + 1)).astype(">u2")
        path.write_bytes(b"P5\n10 12\n%d\n" % maximum + values.tobytes())

    return write


def ycc_tiff(path):
    Image.fromarray(RGB).convert("YCbCr").save(path)


BLACK_WHITE = np.array(Image.fromarray(GRAY).convert("1").convert("L"))
PALETTE = np.array(Image.fromarray(RGB // 128 * 128).quantize(16).convert("RGB"))
LA = np.dstack([GRAY, ALPHA])
RGBA = np.dstack([RGB, ALPHA])
RGBA16 = np.dstack([RGB16, ALPHA16])
# Name of the file: how it is made; the pixels that come back, or the message; tolerance in levels.
KINDS = {
    "rgb.png": (save(RGB), RGB, 0),
    "gray.png": (save(GRAY), GRAY, 0),
    "black and white.png": (save(GRAY, "1"), BLACK_WHITE, 0),
    "palette.png": (palette(False), PALETTE, 0),
    "palette with a transparent entry.png": (palette(True), "alpha", 0),
    "gray with alpha.png": (save(LA), LA, 0),
    "rgb with alpha.png": (save(RGBA), RGBA, 0),
    "16 bits.png": (encode(RGB16[..., ::-1]), RGB16, 0),
    "16 bits gray.png": (encode(GRAY16), GRAY16, 0),
    "16 bits with alpha.png": (encode(np.dstack([RGB16[..., ::-1], ALPHA16])), RGBA16, 0),
    "16 bits lying.png": (oriented_deep_png, np.rot90(RGB16, 3), 0),
    "lying.png": (oriented(RGB, 6, "png"), np.rot90(RGB, 3), 0),
    "UPPER.PNG": (save(RGB, format="png"), RGB, 0),
    "a jpeg in truth.png": (save(np.full_like(RGB, 90), format="jpeg"), np.full_like(RGB, 90), 1),
    "rgb.jpg": (save(np.full_like(RGB, 90), quality=100), np.full_like(RGB, 90), 1),
    "gray.jpg": (save(np.full_like(GRAY, 90)), np.full_like(GRAY, 90), 1),
    "cmyk.jpg": (save(np.full_like(RGB, 90), "CMYK"), np.full_like(RGB, 90), 3),
    "lying.jpeg": (oriented(GRAY // 16 + 100, 8, "jpeg"), np.rot90(GRAY // 16 + 100), 5),
    "rgb.bmp": (save(RGB), RGB, 0),
    "rgb.tif": (save(RGB), RGB, 0),
    "lzw.tiff": (save(RGB, compression="tiff_lzw"), RGB, 0),
    "cmyk.tif": (save(np.full_like(RGB, 90), "CMYK"), np.full_like(RGB, 90), 3),
    "ycc.tif": (ycc_tiff, RGB, 4),
    "16 bits.tif": (tiff(RGB16, photometric="rgb"), RGB16, 0),
    "16 bits gray.tif": (tiff(GRAY16), GRAY16, 0),
    "16 bits lying.tif": (
        tiff(RGB16, photometric="rgb", extratags=[(274, 3, 1, 6, True)]),
        np.rot90(RGB16, 3),
        0,
    ),
    "with alpha.tif": (save(RGBA), RGBA, 0),
    "lossless.webp": (save(RGB, lossless=True), RGB, 0),
    "with alpha.webp": (save(RGBA, lossless=True), RGBA, 0),
    "rgb.ppm": (save(RGB), RGB, 0),
    "gray.pgm": (save(GRAY), GRAY, 0),
    "16 bits.pgm": (pgm(65535), GRAY16, 0),
    "10 bits.pgm": (pgm(1023), np.rint(GRAY16 % 1024 * (65535 / 1023)).astype(np.uint16), 0),
    "one pixel.png": (save(RGB[:1, :1]), RGB[:1, :1], 0),
    "one row.png": (save(RGB[:1]), RGB[:1], 0),
    "cut.png": (cut(save(RGB)), "cut.png: .*truncated", 0),
    "cut.jpg": (cut(save(RGB)), "cut.jpg: .*[Tt]runcated", 0),
    "cut 16 bits.png": (cut(encode(RGB16)), "cut 16 bits.png: .*truncated", 0),
    "cut.tif": (cut(tiff(RGB16)), "cut.tif: ", 0),
    "empty.png": (lambda path: path.write_bytes(b""), "empty.png: cannot identify", 0),
    "text.png": (lambda path: path.write_text("hello"), "text.png: cannot identify", 0),
    "float.tif": (tiff(GRAY.astype(np.float32)), "float.tif: its channels are float32", 0),
    "lab.tif": (save(RGB, "LAB"), "colour space is LAB", 0),
    "pages.tif": (pages, "holds 2 images", 0),
    "animation.webp": (pages, "holds 2 images", 0),
    "bomb.png": (bomb, "bomb.png: .*pixels", 0),
}


def joined(picture):
    pixels = picture.pixels
    if picture.alpha is not None:
        pixels = np.dstack([pixels, picture.alpha])
    return pixels[..., 0] if pixels.shape[2] == 1 else pixels


@pytest.mark.filterwarnings("ignore:Image size:PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", KINDS)
def test_kind_of_file(name, tmp_path, network):
    write, expected, tolerance = KINDS[name]
    source, target = tmp_path / name, tmp_path / "out" / name
    target.parent.mkdir()
    write(source)
    restore = Restorer(network)
    if isinstance(expected, str) and expected != "alpha":
        with pytest.raises(ValueError, match=expected):
            restore.file(source, target)
        assert not target.exists()
        return
    restore.file(source, target)
    found = joined(read_picture(target))
    if isinstance(expected, str):
        image = Image.open(source).convert("RGBA")
        assert image.getchannel("A").getextrema() == (0, 255)
        assert found.shape == (24, 20, 4) and set(np.unique(found[..., 3])) > {0, 255}
        assert np.array_equal(found[..., :3], nearest(np.array(image)[..., :3]))
        return
    expected = nearest(expected)
    assert found.dtype == expected.dtype and found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= tolerance


def test_there_are_enough_kinds():
    assert len(KINDS) >= 30


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_profile_and_exif_stay_with_the_picture(tmp_path, network, suffix, dtype):
    exif = Image.Exif()
    exif[0x013B] = "photographer"
    exif[0x0112] = 6
    pixels = np.full((12, 10, 3), 90 if dtype == np.uint8 else 90 * 257, dtype)
    write_picture(Picture(pixels, None, SRGB, exif.tobytes()), tmp_path / f"a{suffix}")
    Restorer(network).file(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    with Image.open(tmp_path / f"b{suffix}") as image:
        assert image.info["icc_profile"] == SRGB
        if suffix != ".tif":
            assert image.size == (24, 20)  # upright: 12 columns of 10 pixels
            assert image.getexif().get(0x013B) == "photographer"
            assert image.getexif().get(0x0112, 1) == 1


def test_cmyk_gets_a_profile_of_what_it_became(tmp_path, network):
    Image.fromarray(np.full_like(RGB, 90)).convert("CMYK").save(tmp_path / "a.jpg")
    picture = read_picture(tmp_path / "a.jpg")
    assert picture.notes == ("CMYK became sRGB",)
    assert "sRGB" in ImageCms.getProfileDescription(BytesIO(picture.icc_profile))


@pytest.mark.parametrize(
    ("name", "picture", "message"),
    [
        ("a.gif", Picture(RGB), "written as .png"),
        ("a.jpg", Picture(RGB, ALPHA), "transparency, which .jpg cannot hold"),
        ("a.pgm", Picture(RGB), "PGM is gray"),
    ],
)
def test_what_cannot_be_written(tmp_path, name, picture, message):
    with pytest.raises(ValueError, match=message):
        write_picture(picture, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_8_bit_formats_round_16_bits(tmp_path):
    write_picture(Picture(RGB.astype(np.uint16) * 257), tmp_path / "a.bmp")
    assert np.array_equal(read_picture(tmp_path / "a.bmp").pixels, RGB)
