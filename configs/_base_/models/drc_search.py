# Channel-number search of DRC on a trained DRN-S: half of the Multi-Adds by default.
# A config adds the dataloader of the first hook.
_base_ = "drn.py"

budget = 0.5

model = dict(
    generator=dict(
        _delete_=True,
        type="mmsrnas.ChannelNumberSearch",
        generator=dict(type="mmsrnas.DRNNet", upscale_factor=4, num_blocks=30, mid_channels=16),
        budget=budget,
        cost="multi_adds",
    )
)
custom_hooks = [
    dict(
        type="mmsrnas.ArchOptimizerHook",
        optimizer=dict(type="Adam", lr=3e-3, betas=(0.9, 0.999), weight_decay=1e-3),
        mode="bilevel",
        complexity_loss=dict(type="mmsrnas.ComplexityLoss", loss_weight=1.0, budget=budget),
    ),
    dict(type="mmsrnas.GenotypeHook"),
    dict(type="mmsrnas.ExactResumeHook"),
]
