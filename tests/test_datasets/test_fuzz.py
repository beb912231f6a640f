"""Mutated annotation files: one error, or names of images inside of the folder.

``FUZZ=100000 pytest tests/test_datasets/test_fuzz.py`` (``make fuzz``) makes more mutations.
"""

import os
import os.path as osp
import random
import time

import pytest

from mmsrnas.datasets.file_names import read_annotation
from mmsrnas.datasets.image_io import IMAGE_SUFFIXES

COUNT = int(os.environ.get("FUZZ", "500"))
SEED = "0801_s001.png (480,480,3)\nfolder/b c.jpg\n\nüml äut.PNG ( 96 , 96 )\r\n./d.tif".encode()
PARTS = [
    *(b"", b"\n", b"\r", b" ", b"/", b"\\", b".", b"..", b"../", b"/../", b"//", b"~/", b"(", b")"),
    *(b",", b"1", b".png", b".PNG\n", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\x0b", b"\x85"),
    *("\u2028".encode(), "\u202e".encode(), "\u0131".encode(), b"C:", b"file://", b"%2e%2e/"),
    *(b" " * 999, b"\t(" * 99, b"9" * 5000, b"a/" * 999, b"(1,1)" * 99),
]


def test_mutated_annotation_files(tmp_path):
    rng, file, accepted = random.Random(0), tmp_path / "names.txt", 0
    for _ in range(COUNT):
        data = bytearray(SEED)
        for _ in range(rng.randint(1, 5)):
            begin = rng.randrange(len(data) + 1)
            data[begin : begin + rng.randint(0, 8)] = rng.choice(PARTS)
        file.write_bytes(data)
        try:
            names = read_annotation(file)
        except ValueError as error:
            assert len(str(error)) < 500 and str(error).isprintable()
            continue
        accepted += 1
        assert names and len(set(names)) == len(names)
        for name in names:
            assert name.lower().endswith(IMAGE_SUFFIXES)
            assert osp.normpath(osp.join("/images/lr", name)).startswith("/images/lr/")
    assert COUNT // 20 < accepted < COUNT


def test_a_long_line_is_refused_at_once(tmp_path):
    (tmp_path / "names.txt").write_text("a" + " " * 300_000 + "b")
    start = time.process_time()
    with pytest.raises(ValueError, match="line 1: expected the name of an image"):
        read_annotation(tmp_path / "names.txt")
    assert time.process_time() - start < 1
