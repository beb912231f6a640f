# The genotype is that of the largest before a selection.
_base_ = "elastic_train.py"

default_hooks = dict(genotype=dict(type="mmsrnas.GenotypeHook"))
