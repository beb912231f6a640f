import cv2
import numpy as np
import pytest

PREPARE = "dataset_converters/prepare_bsd500.py"


def write(folder, first, count):
    folder.mkdir(parents=True)
    for i in range(first, first + count):
        cv2.imwrite(str(folder / f"{i}.jpg"), np.zeros((8, 8, 3), np.uint8))


@pytest.mark.parametrize("layout", ["BSR/BSDS500/data/images", "BSDS500"])
def test_parts_are_joined(run_tool, tmp_path, layout):
    for part, first, count in (("train", 0, 200), ("val", 200, 100), ("test", 300, 200)):
        write(tmp_path / "downloads" / layout / part, first, count)
    run_tool(PREPARE, tmp_path / "downloads", "--out", tmp_path / "BSD500")
    assert len(list((tmp_path / "BSD500/trainval").iterdir())) == 300
    assert {p.stem for p in (tmp_path / "BSD500/test").iterdir()} == set(map(str, range(300, 500)))


def test_absent_and_incomplete_data_are_named(run_tool, tmp_path):
    with pytest.raises(SystemExit, match=r"Neither BSR_bsds500.tgz nor BSDS500/train is in"):
        run_tool(PREPARE, tmp_path, "--out", tmp_path / "BSD500")
    write(tmp_path / "BSDS500/train", 0, 3)
    write(tmp_path / "BSDS500/val", 3, 3)
    with pytest.raises(SystemExit, match=r"BSD500 has 300 images in trainval, but .* holds 6"):
        run_tool(PREPARE, tmp_path, "--out", tmp_path / "BSD500")
