"""What elastic networks cost, from what the smallest of them cost."""

from mmsrnas.costs import Cost
from mmsrnas.genotypes import ElasticGenotype

from .network import ElasticNet

__all__ = ["ChainCost"]


class ChainCost:
    """Any additive cost of elastic genotypes, without building each network.

    In a chain, what a block costs depends on its operation, its two widths and the activation
    alone, so that networks of one and two blocks tell the cost of all: parameters and Multi-Adds
    exactly, latency as far as it is predicted by a sum over operators.

    Args:
        cost: The cost; a later calibration counts.
    """

    def __init__(self, cost: Cost) -> None:
        self._cost = cost

    def __call__(self, genotype: ElasticGenotype) -> float:
        """The cost of a genotype."""

        def chain(ops: tuple[str, ...], widths: tuple[int, ...]) -> float:
            small = genotype.replace(ops=ops, widths=widths)
            return self._cost.of(("elastic", small), lambda: ElasticNet(small))

        first = genotype.widths[0]
        plain = "conv_3x3"
        # Stem and head, then each block with the change of the head that its width brings.
        total = 2 * chain((plain,), (first,)) - chain((plain, plain), (first, first))
        sources = (first, *genotype.widths)
        for op, source, width in zip(genotype.ops, sources, genotype.widths, strict=False):
            total += chain((plain, op), (source, width)) - chain((plain,), (source,))
        return total
