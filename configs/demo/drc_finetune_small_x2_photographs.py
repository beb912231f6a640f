# Fine-tunes the small DRN that tools/prune.py cut: minutes on two cores (estimate).
# Its work dir $PRUNED: --cfg-options model.generator.genotype=$PRUNED/genotype.json
_base_ = ["drc_train_small_x2_photographs.py"]

model = dict(pretrained="work_dirs/drc_train_small_x2_photographs_prune/pruned.pth")
optim_wrapper = dict(optimizer=dict(lr=5e-4))
