"""Folders, patterns and videos."""

import json
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from networks import Nearest, nearest

from mmsrnas.apis.inference import Restorer, plan_files, read_picture, restore_files

RUNTIME = ("--runtime", "torch")
IMAGE = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Three images, one of them in a subfolder, and a broken one."""
    photos = tmp_path / "photos"
    (photos / "more").mkdir(parents=True)
    for name in ("a.png", "b.PNG", "more/c.png"):
        cv2.imwrite(str(photos / name), IMAGE[..., ::-1])
    (photos / "broken.png").write_bytes((photos / "a.png").read_bytes()[:300])
    (photos / "notes.txt").write_text("not an image")
    (photos / ".hidden.png").write_bytes(b"")
    return photos


def test_folder_with_a_broken_image(folder, tmp_path):
    plan = plan_files(folder, tmp_path / "out")
    outcome = restore_files(Restorer(Nearest()), plan, progress=False)
    written = sorted(str(p.relative_to(tmp_path / "out")) for p in outcome.done)
    assert written == ["a.png", "b.PNG", "more/c.png"]
    assert np.array_equal(read_picture(tmp_path / "out/more/c.png").pixels, nearest(IMAGE))
    assert list(outcome.failed) == [folder / "broken.png"]
    assert "broken.png" in json.dumps(outcome.to_dict())
    assert not (tmp_path / "out/broken.png").exists()


def test_nothing_is_overwritten_unless_told(folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.png").write_text("mine")
    with pytest.raises(FileExistsError, match=r"1 of 4 files are there already, first .*a\.png"):
        plan_files(folder, out)
    plan = plan_files(folder, out, existing="skip")
    assert plan.kept == [out / "a.png"] and len(plan.pairs) == 3
    restore_files(Restorer(Nearest()), plan, progress=False)
    assert (out / "a.png").read_text() == "mine"
    plan = plan_files(folder / "a.png", out / "a.png", existing="overwrite")
    restore_files(Restorer(Nearest()), plan, progress=False)
    assert read_picture(out / "a.png").pixels.shape == (40, 48, 3)


def test_patterns_endings_and_single_files(folder, tmp_path):
    pattern = plan_files(f"{folder}/*.png", tmp_path / "out", ".jpg")
    assert sorted(target.name for _, target in pattern.pairs) == ["a.jpg", "broken.jpg"]
    single = plan_files(folder / "a.png", tmp_path / "new/large.tif")
    assert [target for _, target in single.pairs] == [tmp_path / "new/large.tif"]
    inside = plan_files(folder / "a.png", tmp_path / "results")
    assert [target for _, target in inside.pairs] == [tmp_path / "results/a.png"]


@pytest.mark.parametrize(
    ("source", "out", "options", "error", "message"),
    [
        ("photos/nothing*", "out", {}, FileNotFoundError, "matches no image or video"),
        ("photos/more/..", "photos", {}, FileExistsError, "is one of the images that are read"),
        ("photos", "file", {}, FileExistsError, "'.*file' is a file; several images need a folder"),
        ("photos", "file/out", {}, OSError, "nothing can be written to"),
        ("photos", "out", {"suffix": ".gif"}, ValueError, r"written as .*not as '\.gif'"),
        ("photos/a.png", "a.bpg", {}, ValueError, r"a\.bpg: pictures are written as"),
        ("photos", "out", {"existing": "maybe"}, ValueError, "existing: expected one of"),
    ],
)
def test_what_cannot_work_is_said_before(folder, tmp_path, source, out, options, error, message):
    (tmp_path / "file").write_text("")
    with pytest.raises(error, match=message):
        plan_files(tmp_path / source, tmp_path / out, **options)


def test_two_images_that_would_become_one(folder, tmp_path):
    cv2.imwrite(str(folder / "a.jpg"), IMAGE)
    with pytest.raises(ValueError, match=r"several images would become .*a\.webp"):
        plan_files(folder, tmp_path / "out", ".webp")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_folder_without_permission(folder, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(PermissionError, match="nothing can be written to"):
        plan_files(folder, tmp_path / "locked")


def test_video(tmp_path):
    writer = cv2.VideoWriter(
        str(tmp_path / "in.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (32, 24)
    )
    for level in (50, 100, 150):
        writer.write(np.full((24, 32, 3), level, np.uint8))
    writer.release()
    plan = plan_files(tmp_path / "in.avi", tmp_path / "out.avi")
    outcome = restore_files(Restorer(Nearest()), plan, progress=False)
    assert not outcome.failed
    video = cv2.VideoCapture(str(tmp_path / "out.avi"))
    frames = []
    while (frame := video.read())[0]:
        frames.append(frame[1])
    assert [f.shape for f in frames] == [(48, 64, 3)] * 3
    assert np.abs(np.array([f.mean() for f in frames]) - [50, 100, 150]).max() < 3
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    plan = plan_files(tmp_path / "broken.mp4", tmp_path / "x.mp4")
    outcome = restore_files(Restorer(Nearest()), plan, progress=False)
    assert "cannot read video" in outcome.failed[tmp_path / "broken.mp4"]


def test_command(folder, tiny, tmp_path, monkeypatch, capsys):
    """``mmsrnas infer`` restores what it can, and its status says whether that was all."""
    from mmsrnas import __main__ as command

    def run(*args):
        monkeypatch.setattr(sys, "argv", ["mmsrnas", "infer", *map(str, args), *RUNTIME])
        monkeypatch.setattr(sys, "path", list(sys.path))
        monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
        command.main()

    out = tmp_path / "out"
    with pytest.raises(SystemExit, match=r"1 could not be restored:\n.*broken\.png"):
        run(tiny[0], folder, out, "--json", "--precision", "fp32")
    assert len(json.loads(capsys.readouterr().out)["done"]) == 3
    assert read_picture(out / "a.png").pixels.shape == (40, 48, 3)
    with pytest.raises(SystemExit, match=r"^error: OUT: 3 of 4 files are there already"):
        run(tiny[0], folder, out)
    run(tiny[0], folder / "a.png", tmp_path / "b.png", "--max-memory", "4G", "--tile", "96")
    printed = capsys.readouterr().out
    assert "1 restored" in printed and "Runtime: torch." in printed
    with pytest.raises(SystemExit) as end:
        run(tiny[0], folder, out, "--max-memory", "much")
    assert end.value.code == 2 and "usage: mmsrnas infer" in capsys.readouterr().err
    assert Path(out / "a.png").is_file()
