import csv

import pytest

from mmsrnas.analysis.tables import read_published, to_markdown, write_csv

ROWS = [
    {"model": "bicubic", "Set5/PSNR": 33.666, "Set5/SSIM": 0.93},
    {
        "model": "net",
        "params": 1234567,
        "multi_adds": 12_346_000_000,
        "memory_mb": 12.4,
        "latency_ms": 12.34,
        "target": "onnxruntime:cpu:1:180x320",
        "Set5/PSNR": 38.0392,
        "Set5/SSIM": 0.96059,
        "note": "the machine was busy",
    },
]


def test_markdown_is_aligned_and_says_how_it_was_counted():
    lines = to_markdown(ROWS, (720, 1280)).splitlines()
    assert lines[:4] == [
        "| model   |    Params | Multi-Adds | Latency | Memory | Set5/PSNR | Set5/SSIM |",
        "| ------- | --------: | ---------: | ------: | -----: | --------: | --------: |",
        "| bicubic |         - |          - |       - |      - |     33.67 |    0.9300 |",
        "| net     | 1,234,567 |    12.35 G | 12.3 ms |  12 MB |     38.04 |    0.9606 |",
    ]
    notes = "\n".join(lines[4:])
    assert "1280x720 output" in notes and "net: the machine was busy" in notes
    assert "Latency: median for one image, on onnxruntime:cpu:1:180x320." in notes


def test_csv_keeps_the_digits(tmp_path):
    write_csv(ROWS, tmp_path / "t.csv")
    with open(tmp_path / "t.csv", newline="") as file:
        bicubic, net = csv.DictReader(file)
    assert float(net["Set5/PSNR"]) == 38.0392
    assert bicubic["params"] == ""


def test_published_numbers_are_marked(request, tmp_path):
    rows = read_published(request.config.rootpath / "configs/published_sr.csv", 4)
    carn = rows[0]
    assert (carn["model"], carn["Set14/PSNR"], carn["params"]) == (
        "CARN (published)",
        28.60,
        1_592_000,
    )
    assert "(published): printed by SwinIR" in to_markdown([*ROWS, carn], (720, 1280))
    (tmp_path / "a.csv").write_text("model,scale,Set5/PSNR\nx,2,33\n")
    with pytest.raises(ValueError, match=r"a\.csv: it has no column source"):
        read_published(tmp_path / "a.csv", 2)
    (tmp_path / "b.csv").write_text("model,scale,source,Set5/PSNR\nx,2,me,good\n")
    with pytest.raises(ValueError, match=r"b\.csv, line 2: Set5/PSNR is 'good', no number"):
        read_published(tmp_path / "b.csv", 2)
