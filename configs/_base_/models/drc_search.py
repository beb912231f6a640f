# Channel-number search of DRC on a trained DRN-S: half of the Multi-Adds by default.
_base_ = "drn.py"

model = dict(
    generator=dict(
        _delete_=True,
        type="mmsrnas.ChannelNumberSearch",
        generator=dict(type="mmsrnas.DRNNet", upscale_factor=4, num_blocks=30, mid_channels=16),
        budget_share=0.5,
        cost="multi_adds",
    )
)
