import numpy as np
import pytest

from mmsrnas.datasets import AddGaussianNoise, RandomRot90


def results(name="a.png", size=(200, 300)):
    gt = np.full(size, 250, np.uint8)
    return {"gt": gt, "gt_path": f"folder/{name}"}


def test_noise_has_the_deviation_and_is_not_clipped():
    np.random.seed(0)
    noisy = AddGaussianNoise(30).transform(results())
    noise = noisy["img"] - noisy["gt"]
    assert noisy["img"].dtype == np.float32
    assert noise.std() == pytest.approx(30, rel=0.01)
    assert abs(noise.mean()) < 0.5
    assert noisy["img"].max() > 300
    assert (noisy["gt"] == 250).all()


def test_seeded_noise_depends_on_seed_and_name_only():
    transform = AddGaussianNoise(30, seed=0)
    first = transform.transform(results())["img"]
    np.random.seed(5)
    transform.transform(results("b.png"))
    assert (transform.transform(results())["img"] == first).all()
    moved = results() | {"gt_path": "elsewhere/a.jpg"}
    assert (transform.transform(moved)["img"] == first).all()
    assert (transform.transform(results("b.png"))["img"] != first).any()
    assert (AddGaussianNoise(30, seed=1).transform(results())["img"] != first).any()


def test_seeded_noise_scales_with_sigma():
    fields = [
        (AddGaussianNoise(sigma, seed=0).transform(results())["img"] - 250) / sigma
        for sigma in (30, 70)
    ]
    np.testing.assert_allclose(*fields, atol=1e-5)


def test_training_noise_is_new_each_time_and_follows_the_global_seed():
    transform = AddGaussianNoise([30, 50, 70])
    np.random.seed(1)
    first, second = (transform.transform(results())["img"] for _ in range(2))
    assert (first != second).any()
    np.random.seed(1)
    assert (transform.transform(results())["img"] == first).all()


def test_every_sigma_is_drawn():
    transform = AddGaussianNoise([30, 50, 70])
    drawn = [transform.transform(results(size=(64, 64))) for _ in range(60)]
    assert {r["sigma"] for r in drawn} == {30, 50, 70}
    for r in drawn:
        assert (r["img"] - r["gt"]).std() == pytest.approx(r["sigma"], rel=0.1)


@pytest.mark.parametrize("sigma", [0, -5, 256, [], [30, 300]])
def test_sigma_out_of_range_is_refused(sigma):
    with pytest.raises(ValueError, match=r"sigma of AddGaussianNoise.*\(0, 255\]"):
        AddGaussianNoise(sigma)


def test_quarter_turns_are_all_drawn_and_alike_for_all_keys():
    np.random.seed(0)
    image = np.arange(12).reshape(3, 4)
    seen = set()
    for _ in range(40):
        out = RandomRot90(["img", "gt"]).transform({"img": image, "gt": image[..., None]})
        assert (out["img"] == out["gt"][..., 0]).all()
        seen.add((out["img"].shape, *out["img"].ravel().tolist()))
    turns = [np.rot90(image, k) for k in range(4)]
    assert seen == {(turn.shape, *turn.ravel().tolist()) for turn in turns}
