"""The shell scripts hand the right command to torchrun and srun."""

import os
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"


def launch(tmp_path, script, *arguments, **environment):
    """Runs a script with a torchrun and srun that print their arguments and PYTHONPATH."""
    for name in ("torchrun", "srun"):
        program = tmp_path / name
        program.write_text('#!/bin/sh\nprintf "%s\\n" "$PYTHONPATH" "$@"\n')
        program.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [TOOLS / script, *arguments],
        env={"PATH": path, **environment},
        capture_output=True,
        text=True,
    )


def test_dist_train(tmp_path):
    done = launch(
        tmp_path, "dist_train.sh", "a b.py", "4", "--amp", "--work-dir", "x y", NNODES="2", PORT="1"
    )
    path, *command = done.stdout.splitlines()
    assert Path(path).samefile(TOOLS.parent)
    assert {"--nnodes=2", "--nproc_per_node=4", "--master_port=1"} < set(command)
    script = [f"{TOOLS}/train.py", "a b.py", "--launcher", "pytorch", "--amp", "--work-dir", "x y"]
    assert command[-len(script) :] == script


def test_dist_test(tmp_path):
    command = launch(tmp_path, "dist_test.sh", "c.py", "w.pth", "8", "--out", "m.json").stdout
    script = [f"{TOOLS}/test.py", "c.py", "w.pth", "--launcher", "pytorch", "--out", "m.json"]
    assert command.splitlines()[-len(script) :] == script
    assert "--nproc_per_node=8" in command


def test_slurm_train(tmp_path):
    arguments = ("part", "job", "c.py", "wd", "--resume")
    done = launch(tmp_path, "slurm_train.sh", *arguments, GPUS="2", SRUN_ARGS="--exclusive --mem=0")
    command = done.stdout.splitlines()
    assert {"--partition=part", "--job-name=job", "--ntasks=2", "--exclusive", "--mem=0"} < {
        *command
    }
    script = [f"{TOOLS}/train.py", "c.py", "--work-dir=wd", "--launcher", "slurm", "--resume"]
    assert command[-len(script) :] == script


@pytest.mark.parametrize("status", [0, 1, 75])
def test_slurm_requeue(tmp_path, status):
    """A job whose run asks to be resumed goes back to the queue, any other ends as its run did."""
    for name, text in (
        ("srun", f'echo "$@" >command; exit {status}'),
        ("scontrol", 'echo "$@" >queue'),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "SLURM_JOB_ID": "7"}
    script = [TOOLS / "slurm_requeue.sh", "c.py", "wd", "--amp"]
    done = subprocess.run(script, env=environment, cwd=tmp_path)
    expected = "tools/train.py c.py --work-dir=wd --launcher slurm --resume auto --amp\n"
    assert (tmp_path / "command").read_text().endswith(expected)
    assert done.returncode == status % 75
    assert (tmp_path / "queue").is_file() == (status == 75)


@pytest.mark.parametrize(
    "script", ["dist_train.sh", "dist_test.sh", "slurm_train.sh", "slurm_requeue.sh"]
)
def test_usage(tmp_path, script):
    done = launch(tmp_path, script, "c.py")
    assert done.returncode == 2 and f"tools/{script}" in done.stderr
