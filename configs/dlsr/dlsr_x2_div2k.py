# Trains DLSR x2 on DIV2K, two million iterations: days on a GPU (estimate).
# The network is the published one.  A searched network:
# --cfg-options model.generator.genotype=work_dirs/dlsr_search_x2_div2k/genotype.json
_base_ = [
    "../_base_/default_runtime.py",
    "../_base_/models/dlsr.py",
    "../_base_/datasets/div2k_x2.py",
    "../_base_/datasets/sr_test_x2.py",
    "../_base_/schedules/dlsr_train.py",
]
