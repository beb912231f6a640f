# Trains DRN-S x4 with what the released code does by mistake: the colour means are trained too.
# A million iterations, weeks on a GPU.
_base_ = "drn_s_x4_df2k.py"

model = dict(generator=dict(train_mean_shift=True))
