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
        optimizer=dict(type="Adam", lr=3e-4, betas=(0.5, 0.999), weight_decay=1e-8),
        mode="mixed",
        warmup_iters=21 * 985,
        # 1 for a loss on 0..255, ours is on [0, 1].
        complexity_loss=dict(type="mmsrnas.ComplexityLoss", loss_weight=1 / 255),
    ),
    dict(type="mmsrnas.GenotypeHook"),
]
