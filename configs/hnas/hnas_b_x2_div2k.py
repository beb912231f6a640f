# Trains HNAS-B at scale 2, 300,000 iterations: days on a GPU (estimate).
_base_ = "hnas_a_x2_div2k.py"

model = dict(generator=dict(genotype="HNAS_B"))
