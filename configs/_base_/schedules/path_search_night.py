# Uniform paths for a night of a CPU core, eight hours.
_base_ = "path_search.py"

param_scheduler = [
    dict(type="LinearLR", by_epoch=False, start_factor=0.01, end=2000),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=2000, end=40000, eta_min=1e-6),
]
train_cfg = dict(max_iters=40000)
