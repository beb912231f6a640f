# The supernet of DLSR and the search over it: both datasets judge the architecture (mixed level),
# after a warm-up of the weights of 21 epochs.  A config adds the dataloader of the first hook.
_base_ = "dlsr.py"

model = dict(
    generator=dict(
        _delete_=True,
        type="mmsrnas.DLSRSupernet",
        upscale_factor=2,
        mid_channels=48,
        connection_rule="predecessor",
    )
)
custom_hooks = [
    dict(
        type="mmsrnas.ArchOptimizerHook",
        # The released eps, decay and loss weight are for a loss on 0..255, ours is on [0, 1].
        optimizer=dict(
            type="Adam", lr=3e-4, betas=(0.5, 0.999), eps=1e-8 / 255, weight_decay=1e-8 / 255
        ),
        mode="mixed",
        warmup_iters=21 * 985,
        complexity_loss=dict(type="mmsrnas.ComplexityLoss", loss_weight=1 / 255),
    ),
    dict(type="mmsrnas.GenotypeHook"),
]
