# Fine-tunes a pruned DRN-S as released, a million iterations: weeks on a GPU (estimate).
# DRN-L is the teacher, and the colour means are trained too.
_base_ = "../drn/drn_s_x4_df2k.py"

model = dict(
    generator=dict(genotype="DRNS_X4_P50", train_mean_shift=True),
    pretrained="work_dirs/drc_prune_official_x4_div2k_prune/pruned.pth",
    distillation=dict(
        type="mmsrnas.DistillationLoss",
        teacher=dict(type="mmsrnas.DRNNet", upscale_factor=4, num_blocks=40, mid_channels=20),
        checkpoint="checkpoints/drn_l_x4.pth",
        layer="tails.2",
    ),
)
