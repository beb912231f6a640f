# Channel-number search of DRC on a trained DRN-S: half of the Multi-Adds by default.
# A config adds the dataloader of the first hook.  A much larger weight of the complexity hides the
# loss from Adam, whose steps are relative to the largest gradients.
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
        # The released eps and decay are for a loss on 0..255, ours is on [0, 1]; the released lr,
        # 3e-4, moves alpha by 0.4.
        optimizer=dict(
            type="Adam", lr=3e-3, betas=(0.9, 0.999), eps=1e-8 / 255, weight_decay=1e-3 / 255
        ),
        mode="bilevel",
        complexity_loss=dict(type="mmsrnas.ComplexityLoss", loss_weight=0.05, budget=budget),
    ),
    dict(type="mmsrnas.GenotypeHook"),
]
