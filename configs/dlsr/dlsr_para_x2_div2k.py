# Trains the released network "beta1_para_loss" on DIV2K: days on a GPU (estimate).
# The released search found it (`variant="official"`).
_base_ = "dlsr_x2_div2k.py"

model = dict(generator=dict(genotype="DLSR_PARA"))
