"""Names of image files: folders, annotation files and the templates that pair LR with HR."""

import os
import os.path as osp
import re
from pathlib import Path

from .image_io import IMAGE_SUFFIXES, printable

__all__ = ["NameTemplate", "files_of", "read_annotation", "require_utf8"]

# mmagic's lists note '(480,480,3)'. The search starts once in a row of spaces, however long.
SIZE = re.compile(r"(?<!\s)\s+\(\s*\d+(\s*,\s*\d+)*\s*\)$")


class NameTemplate:
    """File name made from the name that LR and HR share, and back.

    Args:
        key: Config key, for the errors.
        template: E.g. ``'{}x2'`` or ``'img_{}_LR'``; applies to the name without folder and ending.

    Raises:
        ValueError: The template has not exactly one ``{}``, or holds a path.
    """

    def __init__(self, key: str, template: str) -> None:
        parts = template.split("{}")
        if len(parts) != 2 or "/" in template or os.sep in template:
            raise ValueError(
                f"{key}: expected a file name with one '{{}}' and no folder, got {template!r}"
            )
        self.prefix, self.suffix = parts

    def fill(self, name: str) -> str:
        """File of a shared name: ``'a/b.png'`` becomes e.g. ``'a/bx2.png'``."""
        folder, file = osp.split(name)
        stem, ending = osp.splitext(file)
        return osp.join(folder, f"{self.prefix}{stem}{self.suffix}{ending}")

    def match(self, file: str) -> str | None:
        """Shared name of a file; None if the file has another form."""
        folder, file = osp.split(file)
        stem, ending = osp.splitext(file)
        inner = stem[len(self.prefix) : len(stem) - len(self.suffix)]
        if not inner or stem != f"{self.prefix}{inner}{self.suffix}":
            return None
        return osp.join(folder, inner + ending)


def files_of(folder: str | Path, recursive: bool = False) -> list[str]:
    """Files of a folder, relative to it and sorted; hidden ones and linked folders are left out."""
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = [f for f in folders if not f.startswith(".")] if recursive else []
        relative = osp.relpath(root, folder)
        found += [osp.normpath(osp.join(relative, f)) for f in files if not f.startswith(".")]
    return sorted(found)


def read_annotation(path: str | Path) -> list[str]:
    """Names of an annotation file: one a line, alone or followed by a size as in mmagic's lists.

    Names may hold spaces; the file is UTF-8, with or without a byte order mark.

    Raises:
        ValueError: The file is not UTF-8, or a line is not the name of an image, is named twice or
            leads out of the folder of the images.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"ann_file: cannot read {printable(path)} as UTF-8: {error}") from error
    names: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        name = SIZE.sub("", line.strip())
        if not name:
            continue
        where = f"{printable(path)}, line {number}"
        if not name.lower().endswith(IMAGE_SUFFIXES):
            raise ValueError(
                f"{where}: expected the name of an image, alone or followed by a size such as "
                f"(480,480,3), got {line.strip()[:80]!r}"
            )
        if osp.isabs(name) or ".." in name.split("/") or "\0" in name:
            raise ValueError(f"{where}: {name[:80]!r} leads out of the folder of the images")
        if name in names:
            raise ValueError(f"{where}: {name} is named in line {names[name]} too")
        names[name] = number
    if not names:
        raise ValueError(f"ann_file: {printable(path)} names no image")
    return list(names)


def require_utf8(names: list[str], folder: str | Path) -> None:
    """Refuses names that logs and lists could not hold.

    Raises:
        ValueError: A name is not UTF-8.
    """
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise ValueError(
                f"{printable(osp.join(folder, name))}: the name is not UTF-8; rename the file"
            ) from None
