# The same images in colour.
_base_ = ["bsd500_gray.py"]

for loader in (_base_.train_dataloader, _base_.val_dataloader, *_base_.test_dataloader):
    for transform in loader.dataset.pipeline:
        if transform.type == "mmsrnas.LoadImageFromFile":
            transform.color_type = "color"
del loader, transform

inference_pipeline = [
    dict(type="mmsrnas.LoadImageFromFile", key="img", color_type="color"),
    dict(type="PackInputs"),
]
