#!/usr/bin/env bash
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=USR1@300
# Trains as a Slurm job that goes back to the queue until the run has ended; from the root of the repository:
# sbatch [OPTIONS OF sbatch] tools/slurm_requeue.sh CONFIG WORK_DIR [OPTIONS OF train.py]
set -euo pipefail
if [ $# -lt 2 ]; then
    sed -n '5,6s/^# //p' "$0" >&2
    exit 2
fi
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"  # Slurm runs a copy of this file elsewhere
export MASTER_PORT="${MASTER_PORT:-$((12000 + SLURM_JOB_ID % 20000))}"
status=0
srun --kill-on-bad-exit=1 \
    python -u tools/train.py "$1" --work-dir="$2" --launcher slurm --resume auto "${@:3}" || status=$?
if [ "$status" -eq 75 ]; then  # a checkpoint was written: resume me
    exec scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
