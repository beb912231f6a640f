"""The reward against its formulas."""

import math

import pytest
import torch
import torch.nn.functional as F

from mmsrnas.models.hnas.cost import HNASCost, multi_adds
from mmsrnas.models.hnas.decoding import HNASSpace
from mmsrnas.models.hnas.reward import (
    MIN_PSNR_STD,
    HNASReward,
    batch_psnr,
    image_psnr,
    mean_of_others,
)

SPACE = HNASSpace(num_cells=3, num_nodes=2, mid_channels=8)
COST = HNASCost(SPACE, dict(hr_size=(16, 16)), mid_channels=4)
GENOTYPES = [SPACE.decode(row) for row in SPACE.random(5, torch.Generator().manual_seed(0))]


def make(performance_weight, variant="default"):
    return HNASReward(performance_weight, COST, torch.tensor(torch.nan), variant)


def images(seed=0, size=24):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (2, 3, size, size), generator=generator).float()


def test_psnr_is_the_mean_of_the_decibels_of_rounded_images():
    target, prediction = images(0), images(0)
    prediction[0] += 2.4  # rounds to 2
    prediction[1] += 10
    prediction[:, :, :8] = 0  # the border does not count
    inside = (..., slice(8, -8), slice(8, -8))
    clamped = prediction.clamp(0, 255).round()[inside] - target[inside]
    mse = clamped.square().mean(dim=(1, 2, 3)).tolist()
    expected = [10 * math.log10(255**2 / value) for value in mse]
    assert image_psnr(prediction, target, 8).tolist() == pytest.approx(expected, rel=1e-6)
    whole = 10 * math.log10(255**2 / (sum(mse) / 2))
    assert batch_psnr(prediction, target, 8).item() == pytest.approx(whole, rel=1e-6)
    assert expected[0] == pytest.approx(42.1, abs=0.3)


def test_perfect_image_has_a_finite_psnr():
    assert image_psnr(images(), images(), 4).isfinite().all()


def test_fixed_reward_is_in_standard_deviations():
    reward = make(0.3)
    psnr = torch.tensor([30.0, 31, 32, 33, 34])
    values = reward(psnr, GENOTYPES, torch.tensor(29.0), torch.tensor(0.5))
    for value, p, genotype in zip(values.tolist(), psnr.tolist(), GENOTYPES, strict=True):
        cost = (multi_adds(genotype, (8, 8), mid_channels=4) - COST.mean) / COST.std
        assert value == pytest.approx(0.3 * (p - 29) / 0.5 - 0.7 * cost, rel=1e-6)


def test_images_do_not_matter_to_the_fixed_reward():
    """Easier images raise every PSNR alike; rewards and their order stay."""
    psnr = torch.tensor([30.0, 31, 29, 30.5, 28], dtype=torch.double)
    std, reward = torch.tensor(0.5), make(0.9)
    first = reward(psnr, GENOTYPES, psnr_std=std)
    torch.testing.assert_close(reward(psnr + 7, GENOTYPES, psnr_std=std), first)
    expected = reward(psnr, GENOTYPES, mean_of_others(psnr), std)
    torch.testing.assert_close(first, expected)


def test_spread_of_psnr_is_averaged_and_kept():
    reward = make(1.0)
    reward.update_psnr_std(torch.tensor([30.0, 32.0]))
    assert reward.psnr_std.item() == pytest.approx(2**0.5)
    reward.update_psnr_std(torch.tensor([30.0, 30.0]))
    assert reward.psnr_std.item() == pytest.approx(0.9 * 2**0.5)
    psnr = torch.tensor([30.0, 31, 29, 30.5, 28])
    expected = reward(psnr, GENOTYPES, psnr_std=torch.tensor(0.9 * 2**0.5))
    torch.testing.assert_close(reward(psnr, GENOTYPES), expected)


def test_mean_of_others_leaves_each_one_out():
    assert mean_of_others(torch.tensor([1.0, 2.0, 6.0])).tolist() == [4.0, 3.5, 1.5]


def test_next_to_no_spread_is_no_unit():
    psnr, free = torch.tensor([30.0, 30.01, 30, 30, 30]), make(1.0)
    values = free(psnr, GENOTYPES, torch.tensor(30.0), torch.tensor(1e-6))
    assert values[1].item() == pytest.approx(0.01 / MIN_PSNR_STD, rel=1e-3)


def test_released_reward_has_the_raw_units():
    psnr = torch.tensor([30.0] * 5)
    for variant in ("paper", "official"):
        values = make(0.2, variant)(psnr, GENOTYPES, torch.tensor(25.0), torch.tensor(0.1))
        for value, genotype in zip(values.tolist(), GENOTYPES, strict=True):
            cost = 5e-9 * multi_adds(genotype, (48, 48), variant)
            cost = round(cost, 3) if variant == "official" else cost
            assert value == pytest.approx(0.2 * 30 - 0.8 * cost, rel=1e-6)


def test_psnr_of_official_is_that_of_the_batch():
    target, prediction = images(0), images(0)
    prediction[0] += 3
    fixed, official = (make(0.5, variant) for variant in ("default", "official"))
    assert fixed.psnr(prediction, target) > official.psnr(prediction, target) + 10


def test_bicubic_is_that_of_torch():
    lr = images(size=16)
    target = images(1, size=32)
    up = F.interpolate(lr, scale_factor=2, mode="bicubic")
    reward = make(0.5)
    assert reward.bicubic_psnr(lr, target) == reward.psnr(up, target)


def test_reward_that_is_not_finite_names_the_architecture():
    psnr = torch.tensor([30.0, torch.nan, 30, 30, 30])
    with pytest.raises(FloatingPointError, match=r"is nan: PSNR nan dB.*optim_wrapper.weights"):
        make(0.5)(psnr, GENOTYPES, torch.tensor(29.0), torch.tensor(1.0))


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match=r"performance_weight.*-0.1"):
        make(-0.1)
    with pytest.raises(ValueError, match="a border of 8 pixels, which is all of images of 16x16"):
        image_psnr(images(size=16), images(size=16), 8)
