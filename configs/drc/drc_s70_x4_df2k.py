_base_ = "drc_s50_x4_df2k.py"

model = dict(generator=dict(genotype="DRNS_X4_P70"))
