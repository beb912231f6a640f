import re
from pathlib import Path

CONFIG = Path(__file__).parents[2] / "configs/dlsr/dlsr_tiny_x2_div2k.py"


def test_says_what_was_measured_on_what(run_tool):
    options = ("--hr=64x48", "--threads=1", "--repeats=2", "--channels-last")
    printed = run_tool("analysis_tools/benchmark_latency.py", CONFIG, *options)
    assert re.match(r"DLSRNet: [\d.]+ ms \(median; ", printed)
    assert "1 thread, fp32, channels-last" in printed
    assert "32x24 in, 2 passes" in printed
