# Trains a small DRN on the photographs of tools/demo.py: minutes on two cores (estimate).
# It is the start of the three stages of DRC.
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/drn.py",
    "../_base_/datasets/photographs_x2.py",
]

model = dict(
    generator=dict(upscale_factor=2, num_blocks=4, mid_channels=16),
    dual_network=dict(mid_channels=16),
)
train_dataloader = dict(batch_size=8)
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="Adam", lr=1e-3, eps=1e-8 / 255),
    clip_grad=dict(max_norm=1),
)
param_scheduler = dict(type="CosineAnnealingLR", by_epoch=False, T_max=400, eta_min=1e-5)
train_cfg = dict(type="IterBasedTrainLoop", max_iters=400)
default_hooks = dict(
    logger=dict(interval=50), checkpoint=dict(interval=200, save_best=None, max_keep_ckpts=2)
)
log_processor = dict(window_size=50)
test_evaluator = _base_.test_evaluator
test_evaluator[0].metrics += [dict(type="mmsrnas.LRConsistency", convert_to="Y", prefix="held-out")]
