# HiNAS's training: 600,000 iterations of SGD with a polynomial rate; biases learn twice as fast.
optim_wrapper = dict(
    constructor="DefaultOptimWrapperConstructor",
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.05, momentum=0.9, weight_decay=4e-5),
    paramwise_cfg=dict(custom_keys={".bias": dict(lr_mult=2.0, decay_mult=0.0)}),
    clip_grad=dict(type="value", clip_value=5.0),
)
param_scheduler = dict(type="PolyLR", by_epoch=False, end=600_000, power=0.9, eta_min=0.0)
train_cfg = dict(type="IterBasedTrainLoop", max_iters=600_000, val_interval=5000)
