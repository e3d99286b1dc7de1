"""Cross-validated comparison of models on one data set."""

from .plotting import plot_study as plot_study
from .study import Study as Study
from .without_features import WithoutFeatures as WithoutFeatures
