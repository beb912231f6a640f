import re
from pathlib import Path

CONFIG = Path(__file__).parents[2] / "configs/dlsr/dlsr_tiny_x2_div2k.py"
TARGET = "torch:cpu:1:24x32"


def test_says_what_was_measured_and_where_the_time_goes(run_tool, synthetic_table):
    options = ("--target", TARGET, "--samples=2", "--max-spread=9", "--operators=3")
    table = synthetic_table(TARGET)
    printed = run_tool("analysis_tools/benchmark_latency.py", CONFIG, *options, "--table", table)
    assert re.match(r"DLSRNet: [\d.]+ ms \(median of 2, .*torch:cpu:1:channels_last:24x32", printed)
    rows = [line.split(" | ") for line in printed.splitlines() if line.startswith("| ")][1:]
    times = [float(row[0].strip("| ")) for row in rows]
    assert len(times) == 5  # three operators, the others, and all
    assert times[:3] == sorted(times[:3], reverse=True)
    assert abs(sum(times[:4]) - times[4]) < 0.05
    assert "aten::" in rows[0][3]
    assert "others" in rows[3][3] and "predicted on torch" in rows[4][3]
