"""Cross-validated comparison of models on one data set."""

from .knowledge import WithoutFeatures as WithoutFeatures
from .plotting import plot_study as plot_study
from .study import Study as Study
