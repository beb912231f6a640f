# Trains HNAS-A at the width of the reduced search: minutes on a CPU core (estimate).
# Or what that search found (docs/experiments/hnas-reduced.md).
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/hnas.py",
    "../_base_/datasets/bsds500_x2.py",
    "../_base_/schedules/hnas_train.py",
]

model = dict(generator=dict(mid_channels=8, global_skip=True))

total = 2000
param_scheduler = dict(T_max=total)
train_cfg = dict(max_iters=total, val_interval=total)
