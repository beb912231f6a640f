"""The reward against its formulas."""

import math

import pytest
import torch
import torch.nn.functional as F

from mmsrnas.engine.runner import Reward
from mmsrnas.engine.runner.reward import MIN_PSNR_STD, batch_psnr, image_psnr, mean_of_others
from mmsrnas.models.hnas.cost import HNASCost, multi_adds
from mmsrnas.models.hnas.space import HNASSpace

SPACE = HNASSpace(num_layers=3, num_nodes=2)
COST = HNASCost(SPACE, channels=4, lr_size=(8, 8))
GENOTYPES = [SPACE.decode(row) for row in SPACE.random(5, torch.Generator().manual_seed(0))]


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
    reward = Reward(0.3, COST)
    psnr = torch.tensor([30.0, 31, 32, 33, 34])
    values = reward(psnr, torch.tensor(29.0), torch.tensor(0.5), GENOTYPES)
    for value, p, genotype in zip(values.tolist(), psnr.tolist(), GENOTYPES, strict=True):
        cost = (multi_adds(genotype, 4, 2, (8, 8)) - COST.mean) / COST.std
        assert value == pytest.approx(0.3 * (p - 29) / 0.5 - 0.7 * cost, rel=1e-6)


def test_images_do_not_matter_to_the_fixed_reward():
    """Easier images raise every PSNR alike; rewards and their order stay."""
    psnr = torch.tensor([30.0, 31, 29, 30.5, 28], dtype=torch.double)
    std, reward = torch.tensor(0.5), Reward(0.9, COST)
    first = reward(psnr, mean_of_others(psnr), std, GENOTYPES)
    second = reward(psnr + 7, mean_of_others(psnr + 7), std, GENOTYPES)
    torch.testing.assert_close(first, second)


def test_mean_of_others_leaves_each_one_out():
    assert mean_of_others(torch.tensor([1.0, 2.0, 6.0])).tolist() == [4.0, 3.5, 1.5]


def test_next_to_no_spread_is_no_unit():
    psnr, free = torch.tensor([30.0, 30.01, 30, 30, 30]), Reward(1.0, COST)
    values = free(psnr, torch.tensor(30.0), torch.tensor(1e-6), GENOTYPES)
    assert values[1].item() == pytest.approx(0.01 / MIN_PSNR_STD, rel=1e-3)


def test_released_reward_has_the_raw_units():
    psnr = torch.tensor([30.0] * 5)
    for compat in ("paper", "official"):
        reward = Reward(0.2, COST, compat, channels=8)
        values = reward(psnr, torch.tensor(25.0), torch.tensor(0.1), GENOTYPES)
        for value, genotype in zip(values.tolist(), GENOTYPES, strict=True):
            cost = 5e-9 * multi_adds(genotype, 8, 2, (48, 48), official=compat == "official")
            cost = round(cost, 3) if compat == "official" else cost
            assert value == pytest.approx(0.2 * 30 - 0.8 * cost, rel=1e-6)


def test_psnr_of_official_is_that_of_the_batch():
    target, prediction = images(0), images(0)
    prediction[0] += 3
    fixed, official = (Reward(0.5, COST, compat) for compat in ("fixed", "official"))
    assert fixed.psnr(prediction, target) > official.psnr(prediction, target) + 10


def test_bicubic_is_that_of_torch():
    lr = images(size=16)
    target = images(1, size=32)
    up = F.interpolate(lr, scale_factor=2, mode="bicubic")
    reward = Reward(0.5, COST)
    assert reward.bicubic_psnr(lr, target) == reward.psnr(up, target)


def test_reward_that_is_not_finite_names_the_architecture():
    psnr = torch.tensor([30.0, torch.nan, 30, 30, 30])
    with pytest.raises(FloatingPointError, match=r"is nan: PSNR nan dB.*optim_wrapper.weights"):
        Reward(0.5, COST)(psnr, torch.tensor(29.0), torch.tensor(1.0), GENOTYPES)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match=r"performance_weight.*-0.1"):
        Reward(-0.1, COST)
    with pytest.raises(ValueError, match="nothing but the border of 8 pixels"):
        image_psnr(images(size=16), images(size=16), 8)
