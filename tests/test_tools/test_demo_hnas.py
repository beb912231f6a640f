"""The demo of the search by reinforcement learning runs, and shows both sides."""

import os
import subprocess
import sys
from pathlib import Path

from mmsrnas.genotypes import load_genotype

ROOT = Path(__file__).parents[2]


def test_fast(tmp_path):
    command = [sys.executable, str(ROOT / "tools/demo_hnas.py"), "--fast"]
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert load_genotype(tmp_path / "work_dirs/demo_hnas/top1.json", "hnas").num_cells == 4
    assert (tmp_path / "work_dirs/demo_hnas/pareto.png").is_file()
    table = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line.strip()}
    assert table["policy"][1] == table["random"][1] == "3"
