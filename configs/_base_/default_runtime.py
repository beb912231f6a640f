default_scope = "mmagic"

default_hooks = dict(
    timer=dict(type="IterTimerHook"),
    # By iteration: the epoch of a loop over iterations is always 0, where all points would lie.
    logger=dict(type="LoggerHook", interval=100, log_metric_by_epoch=False),
    param_scheduler=dict(type="ParamSchedulerHook"),
    # 'auto' is the first metric of val_evaluator, whatever its prefix.  No out_dir: mmengine would
    # append the work_dir to it.
    checkpoint=dict(
        type="mmsrnas.CheckpointHook",
        interval=5000,
        by_epoch=False,
        max_keep_ckpts=3,
        save_best="auto",
        rule="greater",
    ),
    sampler_seed=dict(type="DistSamplerSeedHook"),
    checkpoint_fit=dict(type="mmsrnas.CheckpointFitHook"),
    exact_resume=dict(type="mmsrnas.ExactResumeHook"),
    finite_check=dict(type="mmsrnas.FiniteCheckHook"),
)

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method="fork", opencv_num_threads=4),
    dist_cfg=dict(backend="nccl"),
)

randomness = dict(seed=0)  # without a seed, a resumed run would see its images in another order
log_level = "INFO"
log_processor = dict(type="LogProcessor", window_size=100, by_epoch=False)

load_from = None
resume = False

# No image is written: that takes a BasicVisualizationHook, which during a test also loads the
# training set (it asks the runner for its iteration).
vis_backends = [dict(type="LocalVisBackend")]
visualizer = dict(
    type="ConcatImageVisualizer",
    vis_backends=vis_backends,
    fn_key="gt_path",
    img_keys=["gt_img", "input", "pred_img"],
    bgr2rgb=True,
)
