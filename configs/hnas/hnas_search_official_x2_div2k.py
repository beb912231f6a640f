# Searches HNAS as released, lambda 0.2, 200,000 iterations: days on a GPU (estimate).
# docs/hnas.md lists what is not reproduced.
_base_ = "hnas_search_lambda06_x2_div2k.py"

ops = ["rcab", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"]
model = dict(
    generator=dict(
        variant="official",
        normal_ops=ops,
        upsampling_ops=["sub_pixel", "deconvolution", "bilinear", "nearest", "area"],
        global_skip=False,
        aligned=False,
        policy=dict(temperature=None, tanh_constant=None),
    )
)

turn = 200 + 300
total = 400 * turn
optim_wrapper = dict(
    weights=dict(clip_grad=None),
    policy=dict(optimizer=dict(lr=3e-4, weight_decay=5e-4), clip_grad=None),
)
param_scheduler = dict(
    weights=[dict(type="CosineAnnealingLR", by_epoch=False, T_max=total, eta_min=1e-5)],
    policy=[dict(type="MultiStepLR", by_epoch=False, milestones=[100 * turn], gamma=0.5)],
)
train_cfg = dict(
    max_iters=total,
    warmup_iters=0,
    reward=dict(performance_weight=0.2),
    num_samples=1,
    num_references=2,  # for the log alone
    entropy_weight=(1.0, 1.0),
    baseline_has_reward=True,
    reset_baseline=True,
    policy_dataloader=dict(batch_size=16),
)
