"""Networks of other packages, by their name there."""

import importlib
from typing import Any

from torch import nn

from mmsrnas.registry import MODELS

__all__ = ["PEERS", "SpandrelNet"]

PEERS = {
    "Compact": "Compact.__arch.SRVGG.SRVGGNetCompact",
    "DnCNN": "DnCNN.__arch.network_dncnn.DnCNN",
    "ESRGAN": "ESRGAN.RRDBNet",
    "MoSR": "MoSR.MoSR",
    "PLKSR": "PLKSR.PLKSR",
    "RCAN": "RCAN.RCAN",
    "SAFMN": "SAFMN.SAFMN",
    "SPAN": "SPAN.__arch.span.SPAN",
}
"""Place of a class below ``spandrel.architectures``, by the name that it has here."""


@MODELS.register_module()
def SpandrelNet(architecture: str, **arguments: Any) -> nn.Module:  # noqa: N802 (as a class)
    """Builds a network that spandrel has, as a generator of any editor.

    ``dict(type="mmsrnas.SpandrelNet", architecture="Compact", num_feat=64, num_conv=16,
    upscale=4)`` is the small network of Real-ESRGAN. SPAN is built in the form that it runs in.

    Args:
        architecture: A name of :data:`PEERS`.
        arguments: Arguments of the class there.

    Returns:
        The network, randomly initialised.

    Raises:
        ValueError: Unknown architecture, or wrong arguments.
        ModuleNotFoundError: spandrel is not installed.
    """
    if architecture not in PEERS:
        raise ValueError(
            f"SpandrelNet.architecture: expected one of {', '.join(PEERS)}, got {architecture!r}."
        )
    module, _, name = PEERS[architecture].rpartition(".")
    try:
        cls = getattr(importlib.import_module(f"spandrel.architectures.{module}"), name)
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "mmsrnas.SpandrelNet needs spandrel: pip install spandrel"
        ) from None
    try:
        net = cls(**arguments)
    except TypeError as error:
        raise ValueError(f"SpandrelNet, {architecture}: {error}.") from None
    for parent in list(net.modules()):
        for child, conv in list(parent.named_children()):
            if hasattr(conv, "update_params"):  # trains with more than it runs with
                conv.update_params()
                setattr(parent, child, conv.eval_conv)
    return net
