import pytest
import torch
import torch.nn.functional as F

from mmsrnas.models.hnas.normalization import BatchNorm, batch_statistics


@pytest.fixture(params=[True, False], ids=["affine", "plain"])
def norm(request):
    torch.manual_seed(0)
    norm = BatchNorm(3, affine=request.param)
    if request.param:
        torch.nn.init.normal_(norm.weight)
        torch.nn.init.normal_(norm.bias)
    return norm


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("training", [True, False])
def test_batch_statistics_are_those_of_torch_and_change_nothing(norm, layout, training):
    norm.train(training).double()
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    x = torch.randn(4, 3, 5, 7, dtype=torch.double).mul(3).add(1).contiguous(memory_format=layout)
    expected = F.batch_norm(x, None, None, norm.weight, norm.bias, training=True)
    with batch_statistics():
        output = norm(x)  # with a graph, where there are parameters
        with torch.no_grad():
            scored = norm(x.clone(memory_format=layout))
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(scored, expected)
    assert scored.is_contiguous(memory_format=layout)
    torch.testing.assert_close(dict(norm.state_dict()), before, rtol=0, atol=0)


def test_a_large_mean_does_not_drown_the_variance(norm):
    x = torch.randn(2, 3, 8, 8).add(1000).contiguous(memory_format=torch.channels_last)
    with batch_statistics(), torch.no_grad():
        expected = F.batch_norm(x.double(), None, None, training=True)
        if norm.affine:
            expected = expected * norm.weight[:, None, None] + norm.bias[:, None, None]
        torch.testing.assert_close(norm(x), expected.float(), rtol=0, atol=2e-3)


def test_half_precision_keeps_its_type(norm):
    x = torch.randn(2, 3, 8, 8).bfloat16().contiguous(memory_format=torch.channels_last)
    with batch_statistics(), torch.no_grad():
        assert norm(x).dtype == torch.bfloat16


def test_outside_it_is_batch_normalisation(norm):
    reference = torch.nn.BatchNorm2d(3, affine=norm.affine)
    reference.load_state_dict(norm.state_dict())
    x = torch.randn(4, 3, 5, 7)
    with pytest.raises(ZeroDivisionError), batch_statistics():
        raise ZeroDivisionError
    for mode in (True, False):
        assert torch.equal(norm.train(mode)(x), reference.train(mode)(x))
    torch.testing.assert_close(dict(norm.state_dict()), dict(reference.state_dict()))
