"""Genotypes: the searched architectures as values, files and published data."""

from .base import GENOTYPES, Genotype, GenotypeError
from .dlsr import DLSR_OPS, DLSRGenotype
from .drc import DRCGenotype
from .elastic import ELASTIC_ACTIVATIONS, ELASTIC_ANCHORS, ELASTIC_OPS, ElasticGenotype
from .files import load_genotype, published_genotypes
from .hinas import HINAS_ACTIVATIONS, HINAS_OPS, HiNASGenotype
from .hnas import HNAS_NORMAL_OPS, HNAS_PAPER_NORMAL_OPS, HNAS_UPSAMPLING_OPS, HNASGenotype

__all__ = [
    "DLSR_OPS",
    "ELASTIC_ACTIVATIONS",
    "ELASTIC_ANCHORS",
    "ELASTIC_OPS",
    "GENOTYPES",
    "HINAS_ACTIVATIONS",
    "HINAS_OPS",
    "HNAS_NORMAL_OPS",
    "HNAS_PAPER_NORMAL_OPS",
    "HNAS_UPSAMPLING_OPS",
    "DLSRGenotype",
    "DRCGenotype",
    "ElasticGenotype",
    "Genotype",
    "GenotypeError",
    "HNASGenotype",
    "HiNASGenotype",
    "load_genotype",
    "published_genotypes",
]
