"""What the tools that read a finished search have in common."""

from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import find_latest_checkpoint

__all__ = ["find_checkpoint", "search_config"]


def find_checkpoint(path: Path) -> Path:
    """A checkpoint, or the latest one of a work dir.

    Args:
        path: File or folder.

    Raises:
        FileNotFoundError: There is none.
    """
    if path.is_dir():
        latest = find_latest_checkpoint(str(path))
        if not latest:
            raise FileNotFoundError(f"{path} has no file 'last_checkpoint': no search ran in it")
        path = Path(latest)
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {path} does not exist")
    return path


def search_config(config: str | None, meta: dict[str, Any], source: Path) -> Config:
    """The config that was asked for, else the one that a checkpoint holds.

    Args:
        config: Config file, if one was asked for.
        meta: Entry ``meta`` of the checkpoint.
        source: The checkpoint, for the message.

    Raises:
        LookupError: Neither is there.
    """
    if config:
        return Config.fromfile(config)
    if "cfg" not in meta:
        raise LookupError(f"{source} holds no config: name it by --config")
    return Config.fromstring(meta["cfg"], ".py")
