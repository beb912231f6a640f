# Fine-tunes what tools/prune.py left of the small DRN in its work dir $PRUNED:
# --cfg-options model.generator.genotype=$PRUNED/genotype.json
_base_ = ["drc_train_small_x2_photographs.py"]

model = dict(pretrained="work_dirs/drc_train_small_x2_photographs_prune/pruned.pth")
optim_wrapper = dict(optimizer=dict(lr=5e-4))
