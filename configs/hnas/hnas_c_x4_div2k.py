_base_ = "hnas_a_x4_div2k.py"

model = dict(generator=dict(genotype="HNAS_C"))
