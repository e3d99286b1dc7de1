"""Figures. Every function takes ``ax=None``, returns what it drew on, and never shows it."""

from ._figures import style
from .connectome.plotting import plot_deviation_map, plot_geodesics, plot_metric_field
from .dynamics.plotting import (
    plot_layers,
    plot_selection,
    plot_state_time_courses,
    plot_transitions,
)
from .encoding.plotting import (
    plot_importance,
    plot_importance_topomap,
    plot_r_over_time,
    plot_r_topomap,
    plot_scores,
    plot_trf,
)
from .nerve.plotting import plot_accuracy_over_days, plot_confusion, plot_latency, plot_stream
from .source.dipole_plotting import plot_dipole_volumes
from .source.plotting import (
    plot_field_reconstruction,
    plot_solver_comparison,
    plot_source_time_courses,
    plot_sources,
)
from .study.plotting import plot_study
from .tms.plotting import (
    plot_error_by_heterogeneity,
    plot_error_by_samples,
    plot_neuron,
    plot_predicted_thresholds,
    plot_recruitment,
    plot_threshold_map,
)

__all__ = [
    "plot_accuracy_over_days",
    "plot_confusion",
    "plot_deviation_map",
    "plot_dipole_volumes",
    "plot_error_by_heterogeneity",
    "plot_error_by_samples",
    "plot_field_reconstruction",
    "plot_geodesics",
    "plot_importance",
    "plot_importance_topomap",
    "plot_latency",
    "plot_layers",
    "plot_metric_field",
    "plot_neuron",
    "plot_predicted_thresholds",
    "plot_r_over_time",
    "plot_r_topomap",
    "plot_recruitment",
    "plot_scores",
    "plot_selection",
    "plot_solver_comparison",
    "plot_source_time_courses",
    "plot_sources",
    "plot_state_time_courses",
    "plot_stream",
    "plot_study",
    "plot_threshold_map",
    "plot_transitions",
    "plot_trf",
    "style",
]
