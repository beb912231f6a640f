# Trains the DLSR of 18 channels on DIV2K, two million iterations: days on a GPU (estimate).
# The authors compare it with TPSR.
_base_ = "dlsr_x2_div2k.py"

model = dict(generator=dict(genotype="DLSR_TINY"))
optim_wrapper = dict(optimizer=dict(lr=4e-4))
