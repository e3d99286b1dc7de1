"""Deep models of brain signals as scikit-learn estimators.

Public names are imported when first used: ``import sklearn_meg`` loads neither torch nor mne.
"""

from importlib import import_module

from ._version import __version__

_WHERE = {
    "AdjugateMetric": "connectome",
    "BoostedThreshold": "tms",
    "ChannelScaler": "preprocessing",
    "ConformalMetric": "connectome",
    "ConnectomeMetric": "connectome",
    "CosineThreshold": "tms",
    "DeepRecurrentEncoder": "encoding",
    "EFieldSampler": "tms",
    "EuclideanMetric": "connectome",
    "GammaMap": "source",
    "HiddenMarkovGraph": "dynamics",
    "HmmlearnStates": "dynamics",
    "InverseTensorMetric": "connectome",
    "KalmanRegressor": "nerve",
    "LCMV": "source",
    "MinimumNorm": "source",
    "MixedNorm": "source",
    "MixtureStates": "dynamics",
    "NerveDecoder": "nerve",
    "NerveFeatures": "nerve",
    "NerveRegressor": "nerve",
    "RNNSourceSolver": "source",
    "RapMusic": "source",
    "RecurrentTRF": "encoding",
    "RidgeThreshold": "tms",
    "SingleGaussian": "dynamics",
    "SubjectMean": "encoding",
    "TemporalReceptiveField": "encoding",
    "ThresholdCNN": "tms",
    "UniformFieldThreshold": "tms",
    "WindowClassifier": "nerve",
    "WindowRegressor": "nerve",
    "WindowStates": "dynamics",
    "cut_windows": "encoding",
    "epochs_to_xy": "encoding",
    "pack_rows": "encoding",
    "pad_trials": "encoding",
    "permutation_importance_over_time": "encoding",
    "predict_continuous": "encoding",
    "response_to_feature": "encoding",
    "stitch_windows": "encoding",
    "Study": "study",
    "FileFormatError": "_persistence",
    "load": "_persistence",
    "save": "_persistence",
}
_MODULES = (
    "cli",
    "connectome",
    "datasets",
    "dynamics",
    "encoding",
    "metrics",
    "nerve",
    "plotting",
    "preprocessing",
    "source",
    "study",
    "tms",
)

__all__ = [*_WHERE, *_MODULES, "__version__"]


def __getattr__(name):
    if name in _WHERE:
        return getattr(import_module(f".{_WHERE[name]}", __name__), name)
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
