# Trains HNAS-C at scale 4, 300,000 iterations: days on a GPU (estimate).
_base_ = "hnas_a_x4_div2k.py"

model = dict(generator=dict(genotype="HNAS_C"))
