# Fine-tunes a DRN-S pruned by 70 %, a million iterations: weeks on a GPU (estimate).
_base_ = "../drn/drn_s_x4_df2k.py"

model = dict(
    generator=dict(genotype="DRNS_X4_P70"),
    pretrained="work_dirs/drc_prune_official_x4_div2k_prune/pruned.pth",
)
