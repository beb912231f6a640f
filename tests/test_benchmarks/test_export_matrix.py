"""The page holds the committed rows, and int8 files lose no more than they may."""

import importlib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_page_holds_the_rows(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    matrix = importlib.import_module("export_matrix")
    assert matrix.table() in (ROOT / "docs/export.md").read_text()
    rows = matrix.rows()
    assert len({(row["network"], row["format"]) for row in rows}) == len(rows)
    for row in rows:
        assert row["note"] if not row["psnr_loss"] else float(row["psnr_loss"]) <= 0.10
