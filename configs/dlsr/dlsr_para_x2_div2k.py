# The released network "beta1_para_loss", found by the released search (`variant="official"`).
_base_ = "dlsr_x2_div2k.py"

model = dict(generator=dict(genotype="DLSR_PARA"))
