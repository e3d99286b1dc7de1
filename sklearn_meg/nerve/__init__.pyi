"""Recordings of peripheral nerves and muscles, and what they say about intended movements."""

from .augment import disturbed_sessions as disturbed_sessions
from .baselines import KalmanRegressor as KalmanRegressor
from .baselines import WindowClassifier as WindowClassifier
from .baselines import WindowRegressor as WindowRegressor
from .decoder import NerveDecoder as NerveDecoder
from .features import FEATURE_NAMES as FEATURE_NAMES
from .features import NerveFeatures as NerveFeatures
from .regressor import NerveRegressor as NerveRegressor
from .stream import NerveStream as NerveStream
