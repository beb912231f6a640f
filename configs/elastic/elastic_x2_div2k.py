# Trains an elastic network at scale 2 on DIV2K, the largest by default: a day on a GPU (estimate).
# A searched one:
# --cfg-options model.generator.genotype=work_dirs/elastic_search_x2_div2k/front/genotype.json
_base_ = [
    "../_base_/models/elastic.py",
    "../_base_/datasets/div2k_x2.py",
    "../_base_/datasets/sr_test_x2.py",
    "../_base_/schedules/elastic_train.py",
]
