import cv2
import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from mmsrnas.datasets.resize import imresize, mod_crop
from mmsrnas.evaluation import PSNR, SSIM
from mmsrnas.registry import METRICS


def score(metric, gt, pred):
    """Value for images (H, W, 3) in BGR on [0, 255]."""
    gt, pred = (torch.from_numpy(np.asarray(image)).permute(2, 0, 1) for image in (gt, pred))
    return float(metric.process_image(gt, pred, None))


def luma(image):
    """BT.601 luma of a BGR image as MATLAB's rgb2ycbcr computes it, not rounded."""
    return image.astype(np.float64) @ np.array([24.966, 128.553, 65.481]) / 255 + 16


@pytest.fixture(scope="module")
def pair():
    rng = np.random.default_rng(0)
    gt = cv2.resize(rng.integers(0, 256, (9, 8, 3), np.uint8), (40, 45))
    return gt, (gt + rng.normal(0, 3, gt.shape)).astype(np.float32)


@pytest.mark.parametrize("quantize", [True, False])
@pytest.mark.parametrize("convert_to", ["Y", None])
def test_psnr_formula(pair, quantize, convert_to):
    gt, pred = pair
    value = score(PSNR(quantize=quantize, crop_border=2, convert_to=convert_to), gt, pred)
    if quantize:
        pred = np.round(np.clip(pred, 0, 255))
    if convert_to == "Y":
        gt, pred = luma(gt), luma(pred)
    error = (gt.astype(np.float64) - pred)[2:-2, 2:-2]
    assert value == pytest.approx(10 * np.log10(255**2 / np.mean(error**2)), abs=1e-4)


def test_prediction_within_half_a_level_is_perfect(pair):
    gt, _ = pair
    assert score(PSNR(convert_to="Y"), gt, gt + np.float32(0.4)) == float("inf")
    assert score(PSNR(quantize=False, convert_to="Y"), gt, gt + np.float32(0.4)) < 60
    assert score(SSIM(convert_to="Y"), gt, gt + np.float32(0.4)) == pytest.approx(1, abs=1e-6)


def test_ssim_equals_scikit_image(pair):
    gt, pred = pair
    value = score(SSIM(crop_border=2, convert_to="Y"), gt, pred)
    _, full = structural_similarity(
        luma(gt)[2:-2, 2:-2],
        luma(np.round(np.clip(pred, 0, 255)))[2:-2, 2:-2],
        data_range=255,
        gaussian_weights=True,
        use_sample_covariance=False,
        full=True,
    )
    assert value == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-4)


def test_registered_for_configs():
    metric = METRICS.build({"type": "mmsrnas.PSNR", "prefix": "Set5", "crop_border": 2})
    assert metric.quantize and metric.prefix == "Set5"
    assert isinstance(METRICS.build({"type": "SSIM", "_scope_": "mmsrnas"}), SSIM)


# Bicubic rows of the papers' tables, for the papers' layout (bridge of Set14 counts as colour).
PUBLISHED = {"Set5": {2: 33.67, 3: 30.40, 4: 28.43}, "Set14": {2: 30.32, 3: 27.63, 4: 26.09}}
# Set5 cropped to multiples of 12, mmagic's layout: measured, not published.
GT_MOD12 = {2: 33.652, 3: 30.383, 4: 28.395}
LAYOUTS = {
    "HR": "LR_bicubic/X{scale}/{name}x{scale}.png",
    "GTmod12": "LRbicx{scale}/{name}.png",
}


def bicubic_psnr(root, hr_folder, scale):
    """Mean PSNR-Y of bicubic up-scaling."""
    metric = PSNR(crop_border=scale, convert_to="Y", prefix=root.name)
    values = []
    for path in sorted((root / hr_folder).iterdir()):
        gt = mod_crop(cv2.imread(str(path)), scale)
        lr = cv2.imread(str(root / LAYOUTS[hr_folder].format(scale=scale, name=path.stem)))
        values.append(score(metric, gt, imresize(lr, scale)))
    return np.mean(values)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("test_set", PUBLISHED)
def test_bicubic_reproduces_published_psnr(real_images, test_set, scale):
    value = bicubic_psnr(real_images / "bench" / test_set, "HR", scale)
    assert value == pytest.approx(PUBLISHED[test_set][scale], abs=0.0051)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_layout_of_mmagic_gives_other_numbers(real_images, scale):
    value = bicubic_psnr(real_images / "bench/Set5", "GTmod12", scale)
    assert value == pytest.approx(GT_MOD12[scale], abs=0.0006)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.half])
@pytest.mark.parametrize("metric", [PSNR, SSIM])
def test_half_precision_prediction_is_compared_in_float32(pair, metric, dtype):
    gt, pred = (torch.from_numpy(image).permute(2, 0, 1) for image in pair)
    metric, half = metric(quantize=False, convert_to="Y"), pred.to(dtype)
    assert metric.process_image(gt, half, None) == metric.process_image(gt, half.float(), None)
