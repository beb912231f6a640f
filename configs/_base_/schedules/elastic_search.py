# The sandwich rule: Adam with cosine for the shared weights; networks are judged afterwards.
_base_ = "elastic_train.py"

default_hooks = dict(genotype=dict(type="mmsrnas.GenotypeHook"))
# A step trains some of the operations; DDP must not wait for the others.
find_unused_parameters = True
