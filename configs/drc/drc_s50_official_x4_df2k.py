# Fine-tunes the pruned DRN-S as released: with DRN-L as the teacher, colour means trained too;
# a million iterations, weeks on a GPU.
_base_ = "drc_s50_x4_df2k.py"

model = dict(
    generator=dict(train_mean_shift=True),
    distillation=dict(
        type="mmsrnas.DistillationLoss",
        teacher=dict(type="mmsrnas.DRNNet", upscale_factor=4, num_blocks=40, mid_channels=20),
        checkpoint="checkpoints/drn_l_x4.pth",
        layer="tails.2",
    ),
)
