"""Our networks in spandrel, the loader that image programs share.

After ``mmsrnas.apis.peers.register()`` spandrel builds what ``mmsrnas export`` wrote, from the file
alone.
"""

from typing import Any

from mmsrnas.checkpoint import CARD_KEY, CheckpointError, read_card, require_registered
from mmsrnas.registry import MODELS
from mmsrnas.sizes import in_channels_of, min_size_of, upscale_factor_of

__all__ = ["register"]

ID = "mmsrnas"


def register() -> None:
    """Makes spandrel recognise exported weights of ours; does nothing the second time.

    Raises:
        ModuleNotFoundError: spandrel is not installed.
    """
    try:
        import spandrel
        from spandrel.__helpers.size_req import SizeRequirements
    except ModuleNotFoundError:
        raise ModuleNotFoundError("spandrel is not installed: pip install spandrel") from None

    class Ours(spandrel.Architecture):
        """Any network of ours; the model card among the weights says which."""

        def __init__(self) -> None:
            super().__init__(id=ID, name="mmsrnas", detect=lambda state: CARD_KEY in state)

        def load(self, state_dict: Any) -> Any:
            """Builds the network of a file, with its weights."""
            card = read_card(state_dict)
            generator = card.get("generator")
            if not isinstance(generator, dict):
                raise CheckpointError("the model card names no network.")
            try:
                require_registered(generator)
            except ValueError as error:
                raise CheckpointError(
                    f"the network of the model card is refused: {error}"
                ) from None
            network = MODELS.build(generator).eval()
            scale, channels = upscale_factor_of(network), in_channels_of(network)
            return spandrel.ImageModelDescriptor(
                network,
                {name: w for name, w in state_dict.items() if name != CARD_KEY},
                architecture=self,
                purpose="Restoration" if scale == 1 else "SR",
                tags=[str(card.get("network", ""))],
                supports_half=False,
                supports_bfloat16=True,
                scale=scale,
                input_channels=channels,
                output_channels=channels,
                size_requirements=SizeRequirements(minimum=min_size_of(network)),
            )

    support = spandrel.ArchSupport.from_architecture(Ours())
    before = tuple(a.architecture.id for a in spandrel.MAIN_REGISTRY.architectures())
    support = spandrel.ArchSupport(support.architecture, support.detect, before=before)
    spandrel.MAIN_REGISTRY.add(support, ignore_duplicates=True)
