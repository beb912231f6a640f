import pytest
import torch
from hnas_official import translate_official_controller_keys

from mmsrnas.engine.runner.policy_gradient import reinforce_loss
from mmsrnas.models import HNASController
from mmsrnas.models.hnas.decoding import HNASSpace

PARTS = ("normal", "up", "pos")


@pytest.fixture(scope="module")
def official(refs):
    dump = torch.load(refs / "hnas" / "controller_default.pt", weights_only=True)
    controller = HNASController(HNASSpace(), variant="official")
    state = translate_official_controller_keys(dump["state_dict"])
    missing, unexpected = controller.load_state_dict(state, strict=False)
    assert (missing, unexpected) == (["baseline", "psnr_std"], [])
    return controller.double(), dump


def tokens(sample):
    row = []
    for cell in (sample["arch_normal"], sample["arch_upsampling"]):
        for (op1, in1, _), (op2, in2, _) in zip(cell[::2], cell[1::2], strict=True):
            row += [in1, in2, op1, op2]
    return torch.tensor([*row, sample["pos"]])


@torch.no_grad()
def test_equals_the_released_controller(official):
    controller, dump = official
    sample = controller.evaluate(torch.stack([tokens(s) for s in dump["samples"]]))
    for part, name in enumerate(PARTS):
        for ours, key in ((sample.log_probs, "logp"), (sample.entropies, "ent")):
            reference = [s[f"{key}_{name}"] for s in dump["samples"]]
            assert ours[:, part].tolist() == pytest.approx(reference, rel=1e-12)


def test_loss_and_gradients_equal_the_released_ones(official):
    controller, dump = official
    for reference in dump["samples"]:
        controller.zero_grad()
        sample = controller.evaluate(tokens(reference)[None])
        advantage = torch.tensor([0.1], dtype=torch.double)
        loss = reinforce_loss(sample, advantage, 1.0, controller.part_weights)
        loss.backward()
        assert loss.item() == pytest.approx(reference["loss_adv0p1_ent1"], rel=1e-12)
        norms = {k: v for k, v in reference["grad_norms"].items() if v is not None}
        norms = translate_official_controller_keys(norms)
        ours = {name: p.grad.norm().item() for name, p in controller.named_parameters()}
        assert ours == pytest.approx(norms, rel=1e-9, abs=1e-12)


def test_a_sample_is_evaluated_to_its_own_log_probabilities():
    torch.manual_seed(0)
    for variant in ("default", "paper", "official"):
        controller = HNASController(HNASSpace(), variant=variant)
        with torch.no_grad():
            for p in controller.parameters():
                p.mul_(5)
        sample = controller.sample(16)
        again = controller.evaluate(sample.tokens)
        torch.testing.assert_close(again.log_probs, sample.log_probs)
        torch.testing.assert_close(again.entropies, sample.entropies)
        assert torch.equal(again.tokens, sample.tokens)
        one = controller.evaluate(sample.tokens[3:4])
        torch.testing.assert_close(one.log_probs[0], sample.log_probs[3])


@torch.no_grad()
def test_samples_have_the_frequencies_of_the_policy():
    torch.manual_seed(0)
    space = HNASSpace(num_cells=3, num_nodes=1)
    controller = HNASController(space, hidden_channels=8)
    for p in controller.parameters():
        p.mul_(20)
    sample = controller.sample(20_000, torch.Generator().manual_seed(1))
    every = torch.cartesian_prod(*(torch.arange(size) for size in space.sizes))
    probabilities = controller.evaluate(every).log_probs.sum(1).exp()
    assert probabilities.sum().item() == pytest.approx(1, abs=1e-4)
    for column, size in enumerate(space.sizes):
        expected = torch.zeros(size).index_add(0, every[:, column], probabilities)
        found = torch.bincount(sample.tokens[:, column], minlength=size) / 20_000
        torch.testing.assert_close(found, expected, rtol=0, atol=0.015)


@torch.no_grad()
def test_argmax_takes_the_best_token_in_turn():
    torch.manual_seed(0)
    controller = HNASController(HNASSpace(num_cells=5))
    for p in controller.parameters():
        p.mul_(8)
    best = controller.argmax().tokens[0].tolist()
    left = iter(best)

    def replay(log_probs):
        token = next(left)
        assert log_probs[0].argmax().item() == token
        return torch.tensor([token])

    assert controller._run(1, replay).tokens[0].tolist() == best
    assert len(set(best[:16])) > 2


@torch.no_grad()
def test_the_last_operation_reaches_the_position_except_in_the_released_code():
    torch.manual_seed(0)
    for variant, expected in (("default", True), ("paper", True), ("official", False)):
        controller = HNASController(HNASSpace(), variant=variant)
        for p in controller.parameters():
            p.mul_(8)
        rows = controller.space.random(1).repeat(2, 1)
        rows[1, 31] = (rows[0, 31] + 1) % 5
        entropies = controller.evaluate(rows).entropies[:, 2]
        assert (entropies[0] != entropies[1]).item() == expected


@torch.no_grad()
def test_temperature_and_tanh_bound_the_logits_as_in_the_released_code():
    """``c * tanh(z / T)`` for sources and position, ``c / 2.5 * tanh(z / T)`` for operations."""
    torch.manual_seed(0)
    space = HNASSpace(num_cells=3, num_nodes=1)
    plain = HNASController(space, 8, "official")
    for p in plain.parameters():
        p.mul_(20)
    bounded = HNASController(space, 8, "official", temperature=5.0, tanh_constant=2.0)
    bounded.load_state_dict(plain.state_dict())
    seen = []

    def logits_of(controller):
        row = iter([0, 1, 2, 3, 1, 0, 4, 2, 1])

        def choose(log_probs):
            seen.append(log_probs)
            return torch.tensor([next(row)])

        seen.clear()
        controller._run(1, choose)
        return list(seen)

    for index, (free, bound) in enumerate(zip(logits_of(plain), logits_of(bounded), strict=True)):
        is_op = index in (2, 3, 6, 7)
        limit = 2.0 / 2.5 if is_op else 2.0
        assert bound.max() - bound.min() <= 2 * limit
        # Softmax forgets a constant: look for the one that gives the same probabilities.
        shifts = torch.linspace(-200, 200, 400_001)[:, None]
        raw = (free + shifts) / 5.0
        candidates = (limit * torch.tanh(raw)).log_softmax(dim=1)
        assert (candidates - bound).abs().amax(dim=1).min() < 1e-3
        assert (free - bound).abs().max() > 1e-2
    for wrong in (dict(temperature=0.0), dict(tanh_constant=-1.0)):
        with pytest.raises(ValueError, match=r"controller\.t.*expected None or more than 0"):
            HNASController(space, **wrong)


@torch.no_grad()
def test_policy_stays_in_the_deduplicated_space():
    torch.manual_seed(0)
    space = HNASSpace(2, 2, ("rcab",), ("sub_pixel", "deconvolution", "nearest"), deduplicate=True)
    controller = HNASController(space, 8)
    for p in controller.parameters():
        p.mul_(10)
    sample = controller.sample(500)
    for row in sample.tokens:
        space.check(space.decode(row))
    again = controller.evaluate(sample.tokens)
    torch.testing.assert_close(again.log_probs, sample.log_probs)
    assert sample.log_probs.min() > -50
    assert sample.entropies.isfinite().all()
    every = torch.cartesian_prod(*(torch.arange(size) for size in space.sizes))
    probabilities = controller.evaluate(every).log_probs.sum(1).exp()
    assert probabilities.sum().item() == pytest.approx(1, abs=1e-4)
    assert (probabilities > 0).sum() == space.size()


def test_gradient_of_a_deduplicated_policy_is_finite():
    space = HNASSpace(2, 2, upsampling_ops=("sub_pixel", "nearest"), deduplicate=True)
    controller = HNASController(space, 8)
    sample = controller.sample(64)
    (sample.log_probs.sum() + sample.entropies.sum()).backward()
    assert all(p.grad.isfinite().all() for p in controller.parameters() if p.grad is not None)


def test_position_gradient_reaches_both_cells():
    for variant in ("default", "official"):
        controller = HNASController(HNASSpace(num_cells=3), variant=variant)
        controller.sample(4).log_probs[:, 2].sum().backward()
        for cell in (controller.normal, controller.upsampling):
            assert cell.lstm.weight_hh.grad.abs().max() > 0
