import io
import os
import tarfile
import zipfile

import pytest

from mmsrnas.datasets import archives
from mmsrnas.datasets.archives import obtain_folder


def write_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def write_tar(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                archive.addfile(member)
            else:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


@pytest.fixture
def obtain(tmp_path):
    """Obtains ``Set5`` from an archive."""

    def obtain(archive):
        return obtain_folder("Set5", [archive], tmp_path, tmp_path / "out")

    return obtain


WRITERS = [("Set5.zip", write_zip), ("Set5.tgz", write_tar)]


@pytest.mark.parametrize(("name", "write"), WRITERS)
def test_an_archive_is_unpacked_once_and_again_when_it_has_changed(tmp_path, obtain, name, write):
    file = tmp_path / "out/Set5/a.txt"
    write(tmp_path / name, {"wrapped/Set5/a.txt": b"old"})
    assert obtain(name)
    stamp = file.stat().st_mtime_ns
    assert obtain(name)
    assert file.stat().st_mtime_ns == stamp
    write(tmp_path / name, {"Set5/a.txt": b"new one"})
    assert obtain(name)
    assert file.read_bytes() == b"new one"
    (tmp_path / name).unlink()
    assert obtain(name)  # what was unpacked serves without the archive
    assert not obtain_folder("Set14", [name], tmp_path, tmp_path / "out")


def test_a_killed_unpacking_leaves_nothing_that_counts(tmp_path, obtain, monkeypatch):
    write_zip(tmp_path / "Set5.zip", {"Set5/a.txt": b"a", "Set5/b.txt": b"b"})
    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "extract", lambda *_: 1 / 0)
        with pytest.raises(ValueError, match=r"Set5.zip cannot be unpacked"):
            obtain("Set5.zip")
    assert obtain("Set5.zip")
    assert sorted(os.listdir(tmp_path / "out/Set5")) == ["a.txt", "b.txt"]


@pytest.mark.parametrize(
    ("name", "write", "members"),
    [
        ("Set5.zip", write_zip, {"../evil": b""}),
        ("Set5.zip", write_zip, {"Set5/../../evil": b""}),
        ("Set5.zip", write_zip, {"/tmp/evil": b""}),
        ("Set5.zip", write_zip, {"..\\evil": b""}),
        ("Set5.tgz", write_tar, {"../evil": b""}),
        ("Set5.tgz", write_tar, {"Set5/link": "../../evil"}),
        ("Set5.tgz", write_tar, {"Set5": "/tmp", "Set5/evil": b""}),
    ],
)
def test_members_that_reach_out_are_refused(tmp_path, obtain, name, write, members):
    write(tmp_path / name, members)
    with pytest.raises(
        ValueError, match=f"{name} cannot be unpacked: .*outside|reaches out|absolute"
    ):
        obtain(name)
    assert not list((tmp_path / "out").rglob("*evil*"))
    assert not (tmp_path / "evil").exists()
    assert not list((tmp_path / "out/unpacked").iterdir())


@pytest.mark.parametrize(("name", "write"), WRITERS)
def test_bombs_are_refused_and_leave_nothing(tmp_path, obtain, name, write):
    write(tmp_path / name, {f"Set5/{i}.png": bytes(2**20) for i in range(4)})
    assert (tmp_path / name).stat().st_size < 2**15
    with pytest.raises(ValueError, match=r"need more than \d MiB.* unpack it by hand"):
        obtain(name)
    assert not list((tmp_path / "out/unpacked").iterdir())


@pytest.mark.parametrize(("name", "write"), WRITERS)
def test_what_the_disk_does_not_have_is_refused(tmp_path, obtain, monkeypatch, name, write):
    write(tmp_path / name, {"Set5/a.png": os.urandom(2**17)})
    free = archives.DISK_RESERVE + 2**16
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: type("", (), {"free": free}))
    with pytest.raises(ValueError, match="or the disk has"):
        obtain(name)


@pytest.mark.parametrize("name", ["Set5.zip", "Set5.tgz"])
@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\x03\x04", b"\x1f\x8b\x08"])
def test_damaged_archives_are_named(tmp_path, obtain, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name} cannot be unpacked"):
        obtain(name)
