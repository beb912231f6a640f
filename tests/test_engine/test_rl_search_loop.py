"""The loop that trains weights and policy of HNAS in turn."""

import pytest
import tiny_rl_search
import tiny_search
import torch
from test_exact_resume import assert_identical

from mmsrnas.engine.runner.rl_search_loop import _TurnStream, equal_shares
from mmsrnas.engine.supernet import find_supernet
from mmsrnas.genotypes import load_genotype
from mmsrnas.models.hnas.cost import multi_adds

ITERS = 12


def state(runner):
    """Weights and policy, in copies; what is not known yet is nan."""
    state = {key: value.nan_to_num(7.0) for key, value in runner.model.state_dict().items()}
    policy = {key: value for key, value in state.items() if ".policy." in key}
    return {key: state[key] for key in state.keys() - policy.keys()}, policy


@pytest.fixture(scope="module")
def observed(images):
    """A whole search, with what changed and what was logged at every iteration."""
    runner = tiny_rl_search.runner(images, run="observed", iters=ITERS)
    loop, seen = runner.build_train_loop(runner._train_loop), []
    runner._train_loop = loop
    step = loop.run_iter

    def run_iter(batch):
        before = state(runner)
        step(batch)
        after = state(runner)
        changed = [
            any(not torch.equal(old[key], new[key]) for key in old)
            for old, new in zip(before, after, strict=True)
        ]
        seen.append((changed, [sample.gt_path for sample in batch["data_samples"]]))

    loop.run_iter = run_iter
    runner.train()
    return runner, seen


def test_weights_and_policy_alternate(observed):
    """One iteration of warm-up, then two on the weights and three on the policy in turn.

    What trains one changes nothing in the other, statistics of normalisation included.
    """
    _, seen = observed
    kinds = ["policy" if policy else "weights" for (_, policy), _ in seen]
    turn = ["weights"] * 2 + ["policy"] * 3
    assert kinds == (["weights"] + turn * 4)[:ITERS]
    assert all(weights != policy for (weights, policy), _ in seen)


def test_each_has_images_of_its_own(observed):
    _, seen = observed
    for (weights, _), names in seen:
        numbers = {int(name[-6:-4]) for name in names}
        assert numbers <= set(range(0, 8) if weights else range(8, 12))


def test_log_has_every_term(observed):
    runner, _ = observed
    history = runner.message_hub.log_scalars
    for key in ("reward", "baseline", "policy_loss", "psnr", "gain", "cost", "entropy"):
        values = history[f"train/{key}"].data[0]
        assert len(values) == 6 and all(value == value for value in values), key
    for key in ("random_psnr", "random_reward"):
        assert len(history[f"train/{key}"].data[0]) == 2
    assert 0.9 < history["train/entropy"].data[0][0] <= 1
    assert {"train/weights.lr", "train/policy.lr"} <= history.keys()


def test_cost_in_the_reward_is_that_of_the_rewarded_architecture(images, monkeypatch):
    """Correlation 1 of the cost term with the cost of what was scored."""
    runner = tiny_rl_search.runner(
        images,
        run="correlation",
        iters=6,
        loop=tiny_rl_search.reward(performance_weight=0.0) | {"num_samples": 12},
    )
    loop = runner.build_train_loop(runner._train_loop)
    runner._train_loop = loop
    scored, rewards = [], []
    forward, reward = loop.supernet.forward, loop.reward.__class__.__call__

    def spy_forward(x, architecture=None):
        scored.append(architecture)
        return forward(x, architecture)

    def spy_reward(self, psnr, genotypes, *args):
        result = reward(self, psnr, genotypes, *args)
        rewards.append((list(scored), list(genotypes), result.tolist()))
        return result

    monkeypatch.setattr(loop.supernet, "forward", spy_forward)
    monkeypatch.setattr(loop.reward.__class__, "__call__", spy_reward)
    step = loop.run_iter

    def run_iter(batch):
        scored.clear()
        step(batch)

    loop.run_iter = run_iter
    runner.train()
    pairs = []
    for ran, genotypes, values in rewards:
        start = 0 if ran[: len(genotypes)] == genotypes else len(ran) - len(genotypes)
        assert ran[start : start + len(genotypes)] == genotypes
        costs = [multi_adds(genotype, (8, 8), mid_channels=4) for genotype in genotypes]
        pairs += zip(costs, values, strict=True)
    correlation = torch.corrcoef(torch.tensor(pairs, dtype=torch.double).T)[0, 1]
    assert len(pairs) > 30
    assert correlation.item() == pytest.approx(-1, abs=1e-12)


def test_validation_runs_the_calibrated_argmax(images):
    runner = tiny_rl_search.runner(images, run="val", val_interval=4, iters=8)
    runner.train()
    assert runner.message_hub.get_scalar("val/tiny/PSNR").current() > 3
    supernet = find_supernet(runner.model)
    used = supernet.cells[0 if supernet.genotype().upsampling_position else 1]
    assert used.preprocess[0][1].num_batches_tracked == 1


def search(images, run, kill=None, **options):
    """Searches to the end, or until a moment at which it is killed."""
    hooks = [{"type": "mmsrnas.ExactResumeHook"}]
    hooks += [{"type": "mmsrnas.KillHook", **kill}] if kill else []
    options = {"iters": ITERS, "val_interval": 6, "save_interval": 3, "hooks": hooks} | options
    runner = tiny_rl_search.runner(images, run=run, **options)
    tiny_search.killed(runner.train) if kill else runner.train()


def load(images, run):
    checkpoint = torch.load(images / run / f"iter_{ITERS}.pth", weights_only=True)
    hub = checkpoint.pop("message_hub")
    checkpoint["history"] = {
        key: value
        for key, value in hub["log_scalars"].items()
        if key.startswith("train/") and not key.endswith("time")
    }
    checkpoint["meta"] = {key: checkpoint["meta"][key] for key in ("iter", "seed")}
    return checkpoint


def test_killed_search_ends_like_the_whole_one(images):
    """Killed in a turn on the policy, and resumed with worker processes."""
    search(images, "rl_whole")
    search(images, "rl_killed", {"iteration": 10, "moment": "before_train_iter"})
    search(images, "rl_killed", workers=1, resume=True)
    expected = load(images, "rl_whole")
    assert {"weights", "policy"} == expected["optimizer"].keys()
    assert not expected["state_dict"]["generator.policy.baseline"].isnan()
    assert_identical(load(images, "rl_killed"), expected)


def test_resume_loads_nothing_of_the_past(images):
    weights, policy = (Counted() for _ in range(2))
    stream = _TurnStream(weights, policy, lambda iteration: iteration % 5 >= 2)
    stream.skip(20_004)
    assert (weights.skipped, policy.skipped) == (8_002, 12_002)
    assert [next(stream) for _ in range(4)] == [policy, weights, weights, policy]


@pytest.mark.parametrize("processes", [1, 2, 3, 9])
def test_shares_of_the_architectures_take_about_as_long(processes):
    costs = [5.0, 1.0, 4.0, 1.0, 3.0, 9.0, 2.0, 6.0]
    shares = equal_shares(costs, processes)
    assert sorted(index for share in shares for index in share) == list(range(8))
    totals = [sum(costs[index] for index in share) for share in shares]
    assert max(totals) <= max(max(costs), 1.1 * sum(costs) / processes)


class Counted:
    """Batches that only count."""

    skipped = 0

    def skip(self, count):
        self.skipped += count

    def __next__(self):
        return self


def test_mixed_precision(images):
    wrapper = tiny_rl_search.config(images)["optim_wrapper"]
    for key in ("weights", "policy"):
        wrapper[key]["type"] = "mmsrnas.AutocastOptimWrapper"
    runner = tiny_rl_search.runner(images, run="amp", iters=4, optim_wrapper=wrapper)
    runner.train()
    assert runner.message_hub.get_scalar("train/psnr").current() > 0


def test_released_loop_forgets_the_baseline_at_every_turn(images):
    options = {
        "supernet": {"variant": "official"},
        "loop": {"num_samples": 1, "reset_baseline": True, "baseline_has_reward": True},
    }
    runner = tiny_rl_search.runner(images, run="official", iters=10, **options)
    runner.train()
    rewards, baselines = (
        runner.message_hub.log_scalars[f"train/{key}"].data[0] for key in ("reward", "baseline")
    )
    for start in (0, 3):
        assert baselines[start] == pytest.approx(rewards[start], rel=1e-5)
    expected = 0.95 * baselines[0] + 0.05 * rewards[1]
    assert baselines[1] == pytest.approx(expected, rel=1e-5)


def test_runner_adds_what_a_search_needs(images):
    runner = tiny_rl_search.runner(
        images, run="runner", runner_type="mmsrnas.RLSearchRunner", hooks=[], iters=4
    )
    names = [type(hook).__name__ for hook in runner.hooks]
    assert names.count("GenotypeHook") == names.count("ExactResumeHook") == 1
    runner.train()
    genotype = load_genotype(images / "runner" / "genotype.json", "hnas")
    assert genotype == find_supernet(runner.model).genotype()
    options = dict(runner_type="mmsrnas.RLSearchRunner", hooks=[dict(type="mmsrnas.GenotypeHook")])
    named = tiny_rl_search.runner(images, default_hooks=dict(exact_resume=None), **options)
    names = [type(hook).__name__ for hook in named.hooks]
    assert (names.count("GenotypeHook"), names.count("ExactResumeHook")) == (1, 0)
    with pytest.raises(ValueError, match=r"train_cfg.type.*IterBasedTrainLoop"):
        tiny_rl_search.runner(
            images,
            runner_type="mmsrnas.RLSearchRunner",
            loop={"type": "IterBasedTrainLoop"},
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(loop=dict(policy_dataloader=None)), "train_cfg.policy_dataloader: the policy needs"),
        (dict(loop=dict(num_samples=1)), "train_cfg.num_samples: expected at least 2, got 1"),
        (
            dict(supernet=dict(variant="paper"), loop=dict(num_samples=0)),
            "train_cfg.num_samples: expected at least 1, got 0",
        ),
        (dict(loop=dict(num_references=1)), "train_cfg.num_references: expected at least 2"),
        (dict(loop=dict(weight_sampling="best")), "train_cfg.weight_sampling.*'best'"),
        (
            dict(loop=tiny_rl_search.reward(performance_weight=1.5)),
            "reward.performance_weight: expected 0 <= lambda",
        ),
        (dict(loop=dict(entropy_weight=(0.1, -1))), "entropy_weight"),
        (dict(loop=dict(baseline_momentum=1.0)), "baseline_momentum"),
        (dict(supernet=dict(cost="flops")), "cost.type: expected one of"),
        (dict(supernet=dict(upscale_factor=5)), "upscale_factor: HNAS has"),
    ],
)
def test_wrong_arguments_are_named(images, options, message):
    with pytest.raises(ValueError, match=message):
        tiny_rl_search.runner(images, run="wrong", **options).train()


def test_typo_in_the_reward_is_named(images):
    loop = tiny_rl_search.reward(lambda_=0.5)
    with pytest.raises(TypeError, match=r"train_cfg.reward: .*unexpected keyword.*'lambda_'"):
        tiny_rl_search.runner(images, run="wrong", loop=loop).train()


def test_shared_images_are_refused(images):
    shared = tiny_rl_search.dataloader(images, (7, 12))
    with pytest.raises(ValueError, match=r"1 image\(s\) are in `train_dataloader` too.*07.png"):
        tiny_rl_search.runner(images, loop=dict(policy_dataloader=shared)).train()


def test_wrong_optimizers_are_explained(images):
    wrapper = tiny_rl_search.config(images)["optim_wrapper"]
    wrapper["weights"]["modules"] = tiny_rl_search.WEIGHTS[1:]
    with pytest.raises(ValueError, match=r"optim_wrapper.weights.modules: misses generator.stem"):
        tiny_rl_search.runner(images, optim_wrapper=wrapper).train()
    wrapper["weights"]["modules"] = "generator"
    with pytest.raises(ValueError, match=r"weights.modules: has parameters of the other"):
        tiny_rl_search.runner(images, optim_wrapper=wrapper).train()


def test_other_supernets_are_refused(images):
    with pytest.raises(
        TypeError, match="needs a supernet with a policy, DLSRSupernet has no 'space'"
    ):
        tiny_rl_search.runner(
            images,
            model=dict(
                type="BaseEditModel",
                generator=dict(type="mmsrnas.DLSRSupernet", mid_channels=4),
                pixel_loss=dict(type="L1Loss"),
            ),
        ).train()


def test_patches_without_inside_and_rewards_that_are_not_finite(images):
    small = tiny_rl_search.dataloader(images, (8, 12))
    small["dataset"]["pipeline"][2]["gt_patch_size"] = 16
    with pytest.raises(ValueError, match="a border of 8 pixels, which is all of images of 16x16"):
        tiny_rl_search.runner(images, loop=dict(policy_dataloader=small)).train()
    runner = tiny_rl_search.runner(images, run="nan")
    with torch.no_grad():
        find_supernet(runner.model).conv_last.bias.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match=r"reward of an architecture is nan.*weights"):
        runner.train()
