# Fine-tuning with DRN-L as the teacher, as released.
_base_ = "drc_s50_x4_df2k.py"

model = dict(
    distillation=dict(
        type="mmsrnas.DistillationLoss",
        teacher=dict(type="mmsrnas.DRNNet", upscale_factor=4, num_blocks=40, mid_channels=20),
        checkpoint="checkpoints/drn_l_x4.pth",
        layer="tails.2",
    )
)
