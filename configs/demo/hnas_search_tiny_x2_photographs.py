# Searches four cells for tools/demo_hnas.py: four minutes on a CPU core.
# The photographs are those of tools/demo.py.  So short a search shows that the policy learns, not
# which architecture is good.
_base_ = [
    "../_base_/models/hnas_search.py",
    "../_base_/datasets/photographs_x2.py",
    "../_base_/schedules/hnas_search.py",
]

ops = ["rcab", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"]
model = dict(generator=dict(num_cells=4, normal_ops=ops))

# Whole patches: PSNR leaves out a border of 8 pixels, and few pixels rank architectures by noise.
policy_dataloader = _base_.arch_dataloader
policy_dataloader.batch_size = 8
policy_dataloader.dataset.patch_size = 96

# Architectures are ranked on the held-out photographs.
val_cfg = dict(_delete_=True, type="MultiValLoop")
val_dataloader = dict(_base_.test_dataloader[0], _delete_=True)
val_evaluator = dict(_base_.test_evaluator[0], _delete_=True)

total = 100 + 5 * (15 + 25)
optim_wrapper = dict(weights=dict(optimizer=dict(lr=3e-3)), policy=dict(optimizer=dict(lr=4e-3)))
param_scheduler = dict(
    weights=[dict(type="CosineAnnealingLR", by_epoch=False, T_max=total, eta_min=1e-5)],
    policy=[dict(type="ConstantLR", by_epoch=False, factor=1.0)],
)
train_cfg = dict(
    max_iters=total,
    val_interval=total,
    policy_dataloader=policy_dataloader,
    warmup_iters=100,
    weight_iters=15,
    policy_iters=25,
    num_references=8,
)
default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(interval=total, save_best=None, max_keep_ckpts=2)
)
log_processor = dict(window_size=10)
