"""Files appear whole or not at all."""

import os

import pytest

from mmsrnas.files import atomic_write


def test_new_content_replaces_the_old_at_once(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    with atomic_write(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old" and partial.suffix == ".json"
    assert path.read_text() == "new" and os.listdir(tmp_path) == ["a.json"]


def test_failure_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(OSError, match="full"), atomic_write(path) as partial:
        partial.write_text("ne")
        raise OSError("disk full")
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.json"]


def test_content_is_on_the_disk_before_the_name(tmp_path, monkeypatch):
    """A power cut after the renaming must not find an empty file."""
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    with atomic_write(tmp_path / "a.json") as partial:
        partial.write_text("new")
    assert synced == [str(partial), str(tmp_path)]


def test_folder_that_a_kill_left_is_removed(tmp_path):
    with pytest.raises(OSError, match="stop"), atomic_write(tmp_path / "set.zip") as partial:
        partial.mkdir()
        (partial / "half").touch()
        raise OSError("stop")
    assert not os.listdir(tmp_path)
    partial.mkdir()
    (partial / "half").touch()
    with atomic_write(tmp_path / "set.zip") as partial:
        assert not partial.exists()
        partial.mkdir()
        (partial / "whole").touch()
    assert os.listdir(tmp_path / "set.zip") == ["whole"]
