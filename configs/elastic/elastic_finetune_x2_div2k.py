# Fine-tunes an elastic network at scale 2 from shared weights, on DIV2K: a day on a GPU (estimate).
# tools/derive.py writes the genotype and the weights:
# --cfg-options model.generator.genotype=work_dirs/elastic_search_x2_div2k/front/genotype.json
#     load_from=work_dirs/elastic_search_x2_div2k/front/genotype.pth
_base_ = "elastic_x2_div2k.py"

optim_wrapper = dict(optimizer=dict(lr=2e-4))
param_scheduler = dict(T_max=100000)
train_cfg = dict(max_iters=100000)
