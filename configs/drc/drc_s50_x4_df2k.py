# Fine-tunes a DRN-S pruned by 50 %, a million iterations: weeks on a GPU (estimate).
# tools/prune.py cuts it.  Searched widths:
# --cfg-options model.generator.genotype=work_dirs/.../genotype.json model.pretrained=...
_base_ = "../drn/drn_s_x4_df2k.py"

model = dict(
    generator=dict(genotype="DRNS_X4_P50"),
    pretrained="work_dirs/drc_prune_official_x4_div2k_prune/pruned.pth",
)
