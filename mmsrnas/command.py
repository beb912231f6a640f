"""What all commands share; imports nothing that is slow."""

import argparse
import re
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["failing_cleanly", "parse_bytes"]

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@contextmanager
def failing_cleanly() -> Iterator[None]:
    """Ends the program with the message of an error that the user can mend, and status 1."""
    try:
        yield
    except (ValueError, OSError, MemoryError, ModuleNotFoundError, FloatingPointError) as error:
        raise SystemExit(f"error: {error}") from error


def parse_bytes(text: str) -> int:
    """Reads an amount of memory from the command line.

    Args:
        text: A number with or without unit: ``'512M'``, ``'2G'``, ``'1.5GiB'``.

    Raises:
        argparse.ArgumentTypeError: The text is no amount.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if not match:
        raise argparse.ArgumentTypeError(f"expected an amount such as 512M or 2G, got {text!r}")
    return int(float(match[1]) * UNITS[match[2].upper()])
