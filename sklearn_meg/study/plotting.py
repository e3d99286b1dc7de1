"""Figures of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._figures import style
from ..encoding.plotting import plot_r_over_time, plot_scores

if TYPE_CHECKING:
    from .._typing import Figure
    from .study import Study


def plot_study(study: Study, metric: str = "r", figure: Figure | None = None) -> Figure:
    """Draw the scores of a study beside its R over time.

    Parameters
    ----------
    study : Study
        After ``run``.
    metric : str, default="r"
    figure : Figure, default=None

    Returns
    -------
    figure : Figure

    Examples
    --------
    >>> from sklearn_meg import Study, SubjectMean, TemporalReceptiveField
    >>> from sklearn_meg.datasets import make_words
    >>> from sklearn_meg.plotting import plot_study
    >>> data = make_words("L", n_subjects=2, n_trials=20, n_channels=4)
    >>> models = {
    ...     "mean": SubjectMean(**data.rows),
    ...     "TRF": TemporalReceptiveField(sfreq=data.sfreq, **data.rows),
    ... }
    >>> figure = plot_study(Study(models, cv=2).run(data.X, data.y, times=data.times))
    """
    with style():
        if figure is None:
            import matplotlib.pyplot as plt

            figure = plt.figure(figsize=(11, 4.2), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(2, 3))
        plot_scores(scored_table(study, metric), metric, ax=left)
        start = study.times_[study.start_] if study.start_ else None
        plot_r_over_time(study.times_, study.curves_, ax=right, start=start)
    return figure


def scored_table(study, metric):
    """Table of a study; over pooled subjects where no subject has the score."""
    if study.table_[metric].notna().any():
        return study.table_
    return study.pooled_.assign(subject="pooled")
