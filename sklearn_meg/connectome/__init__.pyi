"""Fiber directions, the Riemannian metric whose geodesics they are, and these geodesics."""

from ._connectivity import connectivity_table as connectivity_table
from .baselines import AdjugateMetric as AdjugateMetric
from .baselines import ConformalMetric as ConformalMetric
from .baselines import EuclideanMetric as EuclideanMetric
from .baselines import InverseTensorMetric as InverseTensorMetric
from .baselines import KnownMetric as KnownMetric
from .connectome_metric import ConnectomeMetric as ConnectomeMetric
from .convolutional_metric import PAPER_PARAMS as PAPER_PARAMS
from .convolutional_metric import ConvolutionalMetric as ConvolutionalMetric
from .fiber_distribution_metric import FiberDistributionMetric as FiberDistributionMetric
from .io import fit_tensor_directions as fit_tensor_directions
from .io import read_directions as read_directions
from .io import read_distributions as read_distributions
from .io import tensor_directions as tensor_directions
from .metrics import geodesic_deviation as geodesic_deviation
from .streamlines import clean_bundle as clean_bundle
from .streamlines import write_streamlines as write_streamlines
