import pytest
import torch

from mmsrnas.models.ops import Depthwise


@pytest.mark.parametrize("size", [(20, 22), (17, 21)])
@pytest.mark.parametrize("kernel_size", [3, 5])
def test_dilated_convolution_by_phases_is_the_same(size, kernel_size):
    conv = Depthwise(3, kernel_size, dilation=2).double()
    x = torch.randn(2, 3, *size, dtype=torch.double, requires_grad=True)
    inputs = (x, conv.weight)
    phases = conv(x)
    reference = torch.nn.Conv2d.forward(conv, x)
    torch.testing.assert_close(phases, reference, rtol=0, atol=1e-12)
    direction = torch.randn_like(phases)
    ours = torch.autograd.grad(phases, inputs, direction)
    expected = torch.autograd.grad(reference, inputs, direction)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-11)
