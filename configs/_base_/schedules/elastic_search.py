# The genotype is that of the largest before a selection.
_base_ = "elastic_train.py"

# At the rate of single networks the large ones fall behind: their shared kernels move too far.
optim_wrapper = dict(optimizer=dict(lr=3e-4))

default_hooks = dict(genotype=dict(type="mmsrnas.GenotypeHook"))
