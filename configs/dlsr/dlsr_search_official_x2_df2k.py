# Searches as the released code does: cells read the best two of all before them, and the cost has
# no gradient.  Days on a GPU, as dlsr_search_x2_df2k.py.
_base_ = "dlsr_search_x2_df2k.py"

model = dict(generator=dict(variant="official"))

default_hooks = dict(arch_optimizer=dict(complexity_loss=None))
