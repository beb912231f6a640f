# The search of HNAS: after 5 epochs on the weights, 400 turns of 200 iterations on the weights and
# 300 on the policy.  The optimizers of the paper, but for the policy: no weight decay, clipped
# gradients, and several samples per update with a larger learning rate.
_base_ = "../default_runtime.py"

total = 5 * 200 + 400 * (200 + 300)

optim_wrapper = dict(
    constructor="MultiOptimWrapperConstructor",
    weights=dict(
        type="OptimWrapper",
        modules=[
            "generator.stem",
            "generator.cells",
            "generator.upsampling_cells",
            "generator.conv_last",
        ],
        # eps is 1e-8 in the released code, for a loss on 0..255; ours is on [0, 1].
        optimizer=dict(type="Adam", lr=1e-3, betas=(0.9, 0.999), eps=1e-8 / 255),
        clip_grad=dict(max_norm=1),
    ),
    policy=dict(
        type="OptimWrapper",
        modules="generator.policy",
        # The loss of the policy does not depend on the range of the images: eps as released.
        optimizer=dict(type="Adam", lr=1e-3, betas=(0.5, 0.999), eps=1e-8),
        clip_grad=dict(max_norm=5),
    ),
)
param_scheduler = dict(
    weights=[dict(type="CosineAnnealingLR", by_epoch=False, T_max=total, eta_min=1e-5)],
    policy=[dict(type="CosineAnnealingLR", by_epoch=False, T_max=total, eta_min=5e-4)],
)
runner_type = "mmsrnas.RLSearchRunner"  # adds the hooks that write the genotype and resume exactly
train_cfg = dict(
    type="mmsrnas.RLSearchLoop",
    max_iters=total,
    val_interval=5000,
    warmup_iters=5 * 200,
    weight_iters=200,
    policy_iters=300,
    reward=dict(performance_weight=0.6),
    num_samples=8,
    num_references=16,
    entropy_weight=(0.05, 0.005),
    baseline_momentum=0.95,
)
# An iteration on the weights uses one architecture; DDP must not wait for the others.
find_unused_parameters = True
