# The 18 channels wide DLSR, which the authors compare with TPSR.
_base_ = "dlsr_x2_div2k.py"

model = dict(generator=dict(genotype="DLSR_TINY"))
optim_wrapper = dict(optimizer=dict(lr=4e-4))
