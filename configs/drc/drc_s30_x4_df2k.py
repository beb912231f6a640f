# Fine-tunes a DRN-S pruned by 30 % of its channels: a million iterations, weeks on a GPU.
_base_ = "drc_s50_x4_df2k.py"

model = dict(generator=dict(genotype="DRNS_X4_P30"))
