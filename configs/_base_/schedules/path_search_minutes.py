# Uniform paths for minutes of a CPU core, on the photographs of a demo.
_base_ = "path_search.py"

param_scheduler = [
    dict(type="LinearLR", by_epoch=False, start_factor=0.1, end=30),
    dict(type="CosineAnnealingLR", by_epoch=False, begin=30, end=600, eta_min=1e-6),
]
train_cfg = dict(_delete_=True, type="IterBasedTrainLoop", max_iters=600)
default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=200, save_best=None, max_keep_ckpts=2)
)
log_processor = dict(window_size=20)
