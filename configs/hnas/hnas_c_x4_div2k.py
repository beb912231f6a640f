# Trains HNAS-C at scale 4, 300,000 iterations: days on a GPU, not measured.
_base_ = "hnas_a_x4_div2k.py"

model = dict(generator=dict(genotype="HNAS_C"))
