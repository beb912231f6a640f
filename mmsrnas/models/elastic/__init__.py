"""The elastic space: chains of convolutions that train together, for every budget."""

from .network import ElasticNet
from .supernet import ElasticSupernet

__all__ = ["ElasticNet", "ElasticSupernet"]
