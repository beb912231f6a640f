# Trains DRN-L x4 with its dual networks, a million iterations: weeks on a GPU (estimate).
_base_ = "drn_s_x4_df2k.py"

model = dict(generator=dict(num_blocks=40, mid_channels=20), dual_network=dict(mid_channels=20))
