"""Kinds of bad input, and the message that each one ends with: it names the file and the reason.

Every kind is a function that damages a good data set or downloads folder; the table says which of
the ways into the project must refuse it, and with which words.
"""

import io
import os
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmsrnas.apis.data_check import check_data
from mmsrnas.datasets import prepare
from mmsrnas.datasets.archives import obtain_folder
from mmsrnas.registry import DATASETS

HR, LR = "HR/001.png", "LR_bicubic/X2/001x2.png"


def dataset(root: Path, **options) -> dict:
    """Config of the training data."""
    pipeline = [dict(type="mmsrnas.LoadImageFromFile", key=key) for key in ("img", "gt")]
    cfg = dict(
        type="mmsrnas.PairedImageDataset",
        _scope_="mmagic",
        scale=2,
        data_root=str(root),
        data_prefix=dict(img="LR_bicubic/X{scale}", gt="HR"),
        filename_tmpl=dict(img="{}x{scale}", gt="{}"),
        patch_size=16,
        pipeline=[*pipeline, dict(type="mmsrnas.RandomPatch"), dict(type="PackInputs")],
    )
    return cfg | options


def train(root: Path, **options) -> None:
    """Builds the training data as a config does and loads every pair."""
    list(DATASETS.build(dataset(root, **options)))


def check(root: Path) -> None:
    """Checks the data of a config without a run."""
    report = check_data(Config({"train_dataloader": {"dataset": dataset(root)}}))
    if not report.is_good:
        raise ValueError("\n".join(map(str, report.findings)))


def denoise(root: Path, **options) -> None:
    """Builds the data of a denoiser, which reads one folder twice, and loads every image."""
    pipeline = [
        dict(type="mmsrnas.LoadImageFromFile", key="gt", color_type="grayscale"),
        dict(type="mmsrnas.RandomPatch"),
        dict(type="mmsrnas.AddGaussianNoise"),
    ]
    folders = dict(data_prefix=dict(img="HR", gt="HR"), filename_tmpl=None)
    train(root, **dict(scale=1, pipeline=pipeline, sigma=50, **folders) | options)


def convert(root: Path) -> None:
    """Runs the converter on the HR images."""
    prepare.write_pairs(root / "HR", root / "out", [2])


def cut(root: Path) -> None:
    """Cuts the pairs into patches."""
    prepare.extract_sub_images(root / "HR", root / "LR_bicubic/X2", 2, 48, 24)


def check_lr(root: Path) -> None:
    """Takes the LR images for downloaded ones."""
    prepare.provide_lr_images(root / "HR", root / "LR_bicubic/X2", 2)


def unpack(root: Path) -> None:
    """Unpacks a download."""
    obtain_folder("Set5", ["Set5.zip", "Set5.tgz"], root, root / "out")


def with_content(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda root: (root / name).write_bytes(content)


def cut_off(name: str, share: float = 0.6) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        data = (root / name).read_bytes()
        (root / name).write_bytes(data[: int(len(data) * share)])

    return damage


def with_flipped_byte(root: Path) -> None:
    data = bytearray((root / HR).read_bytes())
    data[len(data) // 2] ^= 0xFF
    (root / HR).write_bytes(data)


def saved(make: Callable[[Image.Image], Image.Image], format_: str, **options):
    """Replaces the HR image by another kind of image under the same name."""

    def damage(root: Path) -> None:
        image = make(Image.open(root / HR).convert("RGB"))
        image.save(root / HR, format=format_, **options)

    return damage


def two_images(format_: str) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        image, other = (Image.open(root / f"HR/00{i}.png").convert("RGB") for i in (1, 2))
        image.save(root / HR, format_, save_all=True, append_images=[other])

    return damage


def transparent(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    image.putpixel((0, 0), (1, 2, 3, 100))
    return image


def transparent_palette(root: Path) -> None:
    Image.open(root / HR).quantize(16).save(root / HR, transparency=0)


def truncated_jpeg(root: Path) -> None:
    data = io.BytesIO()
    Image.open(root / HR).save(data, "JPEG")
    (root / HR).write_bytes(data.getvalue()[:-200])


def jpeg_without_end(root: Path) -> None:
    data = io.BytesIO()
    Image.open(root / HR).save(data, "JPEG")
    (root / HR).write_bytes(data.getvalue()[:-200] + bytes(200))


def sixteen_bit(shape: tuple[int, ...]) -> Callable[[Path], None]:
    """Small values in 16 bits, as of a camera of 12 bits."""
    image = np.random.default_rng(0).integers(0, 4096, shape).astype(np.uint16)
    return lambda root: cv2.imwrite(str(root / HR), image)


def deep_ppm(root: Path) -> None:
    pixels = np.full((80, 96, 3), 300, ">u2").tobytes()
    (root / HR).write_bytes(b"P6\n96 80\n4095\n" + pixels)


def sized(name: str, height: int, width: int) -> Callable[[Path], None]:
    return lambda root: cv2.imwrite(str(root / name), np.zeros((height, width, 3), np.uint8))


def bomb(width: int, height: int) -> Callable[[Path], None]:
    """A PNG of 100 bytes that promises any size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return with_content(HR, b"\x89PNG\r\n\x1a\n" + chunks)


def two_endings(root: Path) -> None:
    Image.open(root / HR).save(root / "HR/001.bmp")


def empty_hr(root: Path) -> None:
    shutil.rmtree(root / "HR")
    (root / "HR").mkdir()


def without_hr(root: Path) -> None:
    shutil.rmtree(root / "HR")


def no_utf8(root: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    try:
        shutil.copy(root / HR, root / "HR" / name)
    except OSError:
        pytest.skip("the file system takes UTF-8 only")


def link_to_itself(root: Path) -> None:
    (root / HR).unlink()
    (root / HR).symlink_to("001.png")


def linked_folder_loop(root: Path) -> None:
    empty_hr(root)
    (root / "HR/loop").symlink_to(root / "HR", target_is_directory=True)


def folder_as_image(root: Path) -> None:
    (root / HR).unlink()
    (root / HR).mkdir()


def pipe_as_image(root: Path) -> None:
    (root / HR).unlink()
    os.mkfifo(root / HR)


def annotation(content: bytes) -> Callable[[Path], None]:
    return with_content("list.txt", content)


def archive(name: str, size: int = 100) -> Callable[[Path], None]:
    def damage(root: Path) -> None:
        with zipfile.ZipFile(root / "Set5.zip", "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(name, bytes(size))

    return damage


def damaged_archive(root: Path) -> None:
    archive("Set5/a.png")(root)
    cut_off("Set5.zip")(root)


def nothing(root: Path) -> None:
    pass


def annotated(root: Path) -> None:
    train(root, ann_file="list.txt")


def with_options(**options) -> Callable[[Path], None]:
    return lambda root: train(root, **options)


DECODING = (train, check, denoise, convert)
KINDS = {
    # Content of a file.
    "empty file": (with_content(HR, b""), DECODING, r"cannot read image .*HR/001\.png"),
    "text": (with_content(HR, b"<html>404</html>"), DECODING, r"cannot read image .*HR/001\.png"),
    "truncated PNG": (cut_off(HR), (*DECODING, cut), r"cannot read image .*HR/001\.png.*truncated"),
    "truncated LR": (cut_off(LR), (train, check, cut), r"cannot read image .*X2/001x2\.png"),
    "damaged PNG": (with_flipped_byte, DECODING, r"cannot read image .*HR/001\.png"),
    "truncated JPEG": (truncated_jpeg, DECODING, r"HR/001\.png: .*truncated"),
    "JPEG filled up with zeros": (jpeg_without_end, DECODING, r"001\.png: it is truncated"),
    "header only": (cut_off(HR, 0.005), DECODING, r"cannot read image .*HR/001\.png"),
    "GIF": (saved(lambda i: i, "GIF"), DECODING, r"cannot read image .*HR/001\.png"),
    "JPEG 2000": (saved(lambda i: i, "JPEG2000"), DECODING, r"cannot read image .*HR/001\.png"),
    "gray of 16 bits": (sixteen_bit((80, 96)), DECODING, r"001\.png: it has more than 8 bits"),
    "colour of 16 bits": (sixteen_bit((80, 96, 3)), DECODING, r"001\.png: it has more than 8 bits"),
    "PPM of 12 bits": (deep_ppm, DECODING, r"001\.png: it has more than 8 bits"),
    "TIFF of floats": (saved(lambda i: i.convert("F"), "TIFF"), DECODING, r"more than 8 bits"),
    "CMYK": (saved(lambda i: i.convert("CMYK"), "JPEG"), DECODING, r"colour space is CMYK"),
    "Lab": (saved(lambda i: i.convert("LAB"), "TIFF"), DECODING, r"colour space is LAB"),
    "transparent": (saved(transparent, "PNG"), DECODING, r"001\.png: it has transparent pixels"),
    "transparent palette": (transparent_palette, DECODING, r"001\.png: it has transparent pixels"),
    "animation": (two_images("PNG"), DECODING, r"001\.png: it holds 2 images"),
    "TIFF of two pages": (two_images("TIFF"), DECODING, r"001\.png: it holds 2 images"),
    "bomb of pixels": (bomb(2**14, 2**14), DECODING, r"cannot read image .*001\.png.*pixels"),
    "bomb of 2^62 pixels": (bomb(2**31 - 1, 2**31 - 1), DECODING, r"cannot read image .*001\.png"),
    "size of zero": (bomb(0, 80), DECODING, r"cannot read image .*001\.png"),
    # Sizes.
    "1x1": (sized(HR, 1, 1), (train, check), r"001\.png \(1x1\) is not scale=2 times"),
    "1x1 alone": (
        sized(HR, 1, 1),
        (denoise,),
        r"at least 16x16 pixels: 1 smaller .*001\.png \(1x1",
    ),
    "1x1 to convert": (sized(HR, 1, 1), (convert,), r"001\.png is smaller than 2 pixels"),
    "smaller than the patch": (sized(HR, 200, 15), (denoise,), r"1 smaller .*001\.png \(200x15\)"),
    "smaller than a patch to cut": (
        lambda root: (sized(HR, 46, 90)(root), sized(LR, 23, 45)(root)),
        (cut,),
        r"001\.png is smaller than 48 pixels",
    ),
    "other size": (
        sized(HR, 80, 90),
        (train, cut),
        r"001\.png.* is not (scale=)?2 times .*001x2\.png",
    ),
    "turned": (sized(LR, 48, 40), (train, cut, check_lr), r"001x2\.png"),
    "cropped otherwise": (sized(HR, 81, 97), (train,), r"\(81x97\) is not scale=2 times"),
    # Names and folders.
    "LR image gone": (lambda r: (r / LR).unlink(), (train,), r"1 missing \(001x2\.png\)"),
    "LR image gone, found by a tool": (lambda r: (r / LR).unlink(), (cut, check_lr), r"001x2\.png"),
    "HR image gone": (lambda r: (r / HR).unlink(), (train,), r"1 without HR image \(001x2\.png\)"),
    "same name twice": (two_endings, (*DECODING, cut), r"several images named 001"),
    "empty folder": (empty_hr, (*DECODING, cut), r"no image in .*HR"),
    "no folder": (without_hr, (train, denoise, convert, cut), r"no folder .*HR"),
    "no folder, checked": (without_hr, (check,), r"folders do not exist: .*HR"),
    "name not UTF-8": (no_utf8, (*DECODING, cut), r"caf.xe9\.png: the name is not UTF-8"),
    "link to itself": (link_to_itself, DECODING, r"001\.png"),
    "linked folder in a loop": (linked_folder_loop, (*DECODING, cut), r"no image in .*HR"),
    "folder with the name of an image": (folder_as_image, (train,), r"without HR image \(001x2"),
    "pipe with the name of an image": (
        pipe_as_image,
        (train, check, convert),
        r"001\.png(: it)? is no file",
    ),
    "template of other names": (
        nothing,
        (with_options(filename_tmpl=dict(img="{}x4")),),
        r"6 missing \(000x4",
    ),
    "template without place": (
        nothing,
        (with_options(filename_tmpl=dict(img="x2")),),
        r"filename_tmpl\.img: .*'x2'",
    ),
    "template that leads out": (
        nothing,
        (with_options(filename_tmpl=dict(img="../../{}")),),
        r"filename_tmpl\.img: .*no folder",
    ),
    # Annotation files.
    "annotation that leads out": (
        annotation(b"../../etc/a.png\n"),
        (annotated,),
        r"line 1: .*leads out",
    ),
    "absolute annotation": (
        annotation(b"001.png\n/etc/a.png\n"),
        (annotated,),
        r"line 2: .*leads out",
    ),
    "annotation of no image": (
        annotation(b"001.png 3 cats\n"),
        (annotated,),
        r"line 1: expected the name",
    ),
    "annotation of an absent image": (
        annotation(b"009.png\n"),
        (annotated,),
        r"missing \(009x2\.png, 009\.png\)",
    ),
    "annotation named twice": (
        annotation(b"1.png\n1.png (2,2)\n"),
        (annotated,),
        r"line 2: .*in line 1 too",
    ),
    "empty annotation": (annotation(b"\n \n"), (annotated,), r"list\.txt names no image"),
    "annotation of UTF-16": (
        annotation("001.png".encode("utf-16")),
        (annotated,),
        r"list\.txt as UTF-8",
    ),
    "no annotation": (nothing, (annotated,), r"cannot read .*list\.txt"),
    # Arguments.
    "index_range": (
        nothing,
        (with_options(index_range=(4, 9)),),
        r"index_range=\(4, 9\) does not fit",
    ),
    "odd patch": (
        nothing,
        (with_options(patch_size=15),),
        r"patch_size=15 must be a multiple of scale=2",
    ),
    "large patch": (nothing, (with_options(patch_size=98),), r"at least 98x98 pixels: 6 smaller"),
    "sigma": (nothing, (lambda root: denoise(root, sigma=-1),), r"PairedImageDataset\.sigma: .*-1"),
    # Archives.
    "archive that leads out": (
        archive("../a.png"),
        (unpack,),
        r"Set5\.zip.*'\.\./a\.png' reaches out",
    ),
    "absolute archive": (archive("/etc/a.png"), (unpack,), r"Set5\.zip.*'/etc/a\.png' reaches out"),
    "archive that is a bomb": (
        archive("Set5/a.png", 2**24),
        (unpack,),
        r"Set5\.zip.*need more than",
    ),
    "damaged archive": (damaged_archive, (unpack,), r"Set5\.zip cannot be unpacked"),
    "archive that is none": (
        with_content("Set5.tgz", b"<html>"),
        (unpack,),
        r"Set5\.tgz cannot be",
    ),
}


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.mark.parametrize("kind", KINDS)
def test_bad_input_is_refused_by_name(paired_images, kind):
    damage, ways, message = KINDS[kind]
    damage(paired_images)
    for way in ways:
        with pytest.raises((ValueError, FileNotFoundError), match=f"(?s){message}"):
            way(paired_images)


def test_the_good_data_passes_everywhere(paired_images):
    for way in (*DECODING, cut, check_lr):
        way(paired_images)
