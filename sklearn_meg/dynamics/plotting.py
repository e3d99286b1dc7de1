"""Figures of states, transitions and communities; public through :mod:`sklearn_meg.plotting`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._typing import ArrayLike, Axes, BaseEstimator, Figure
    from ._selection import StateSelection

OTHER = "#D9D9D9"  # communities that are not among the first


def state_colors(n_states):
    """A color for each state, told apart by color-blind readers up to eight.

    Returns colors (list)
    """
    from matplotlib import colormaps

    from .._figures import PALETTE

    if n_states <= len(PALETTE):
        return list(PALETTE[:n_states])
    return [colormaps["viridis"](x) for x in np.linspace(0, 1, n_states)]


def plot_state_time_courses(
    probabilities: ArrayLike,
    sfreq: float | None = None,
    ax: Axes | None = None,
    *,
    true_states: ArrayLike | None = None,
    tmin: float = 0.0,
) -> Axes:
    """Draw the probabilities of the states over time, stacked to one.

    Parameters
    ----------
    probabilities : array-like of shape (n_times, n_states)
        Probabilities of one recording, from ``predict_proba``.
    sfreq : float, default=None
        Samples a second, Hz; None draws samples.
    ax : Axes, default=None
    true_states : array-like of int of shape (n_times,), default=None
        Drawn as a band above, in the colors of the states: match them before.
    tmin : float, default=0.0
        Time of the first sample in seconds (samples without `sfreq`).

    Returns
    -------
    ax : Axes

    Raises
    ------
    ValueError
        For probabilities of several recordings.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_meg.plotting import plot_state_time_courses
    >>> ax = plot_state_time_courses(np.full((20, 2), 0.5), sfreq=10)
    """
    from .._figures import make_axes, style

    P = np.asarray(probabilities, dtype=float)
    if P.ndim != 2:
        raise ValueError(
            f"probabilities must be those of one recording, (n_times, n_states). Got {P.shape}."
        )
    colors = state_colors(P.shape[1])
    edges = tmin + np.arange(len(P) + 1) / (sfreq or 1)
    stacked = np.cumsum(np.c_[np.zeros(len(P)), P], axis=1)
    with style():
        ax = make_axes(ax, (9, 2.6))
        ax.grid(False)
        for k, color in enumerate(colors):
            low, high = (np.r_[s, s[-1:]] for s in (stacked[:, k], stacked[:, k + 1]))
            ax.fill_between(
                edges, low, high, step="post", color=color, linewidth=0, label=f"state {k}"
            )
        top = 1.0
        if true_states is not None:
            top = _draw_true(ax, np.asarray(true_states), edges, colors)
        ax.set(xlim=(edges[0], edges[-1]), ylim=(0, top), yticks=(0, 0.5, 1))
        ax.set(xlabel="Time (s)" if sfreq else "Sample", ylabel="Probability")
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def _draw_true(ax, states, edges, colors):
    """A band of the true states above; returns the height of the axes."""
    borders = np.flatnonzero(np.diff(states)) + 1
    starts, ends = np.r_[0, borders], np.r_[borders, len(states)]
    for start, end in zip(starts, ends):
        if states[start] >= 0:
            ax.fill_between(
                [edges[start], edges[end]], 1.06, 1.2, color=colors[states[start]], linewidth=0
            )
    ax.text(edges[0], 1.22, "true", fontsize=9, va="bottom")
    return 1.2


def plot_transitions(
    model: BaseEstimator, ax: Axes | None = None, *, names: Sequence[str] | None = None
) -> Axes:
    """Draw states as nodes, and transitions between them as arrows.

    Parameters
    ----------
    model : HiddenMarkovGraph or another fitted state model
    ax : Axes, default=None
    names : sequence of str, default=None

    Returns
    -------
    ax : Axes
        Area of a node: long-run share of time. Numbers and width of an arrow: probability to go
        there once the state is left; below 0.1 is not drawn.

    Examples
    --------
    >>> from sklearn_meg.datasets import make_states
    >>> from sklearn_meg.dynamics import MixtureStates
    >>> from sklearn_meg.plotting import plot_transitions
    >>> data = make_states("easy", n_times=200)
    >>> ax = plot_transitions(MixtureStates(n_states=3, n_init=1, random_state=0).fit(data.X))
    """
    from .._figures import make_axes, style

    P = model.transmat_
    n = len(P)
    shares = np.array([d["occupancy"] for _, d in model.transition_graph().nodes(data=True)])
    angles = np.pi / 2 - 2 * np.pi * np.arange(n) / n
    where = np.c_[np.cos(angles), np.sin(angles)] * (n > 1)
    radii = 0.18 + 0.24 * np.sqrt(shares / shares.max()) * min(1, 4 / n)
    leave = P / np.maximum(1 - np.diag(P), 1e-12)[:, None]
    with style():
        ax = make_axes(ax, (5.2, 5.2))
        ax.grid(False)
        ax.axis("off")
        for k, to in np.ndindex(n, n):
            if k != to and leave[k, to] >= 0.1:
                _arrow(ax, where[k], where[to], radii[k], radii[to], leave[k, to])
        for k, color in enumerate(state_colors(n)):
            _node(ax, where[k], radii[k], color, f"{k}" if names is None else names[k], P[k, k])
        ax.set(xlim=(-1.75, 1.75), ylim=(-1.75, 1.75), aspect="equal")
        ax.set_title("States, and where they go")
    return ax


def _node(ax, where, radius, color, name, stay):
    from matplotlib.patches import Circle

    ax.add_patch(Circle(where, radius, facecolor=color, edgecolor="white", zorder=3))
    text = f"{name}\nstays {stay:.2f}"
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5}
    ax.text(*where, text, ha="center", va="center", fontsize=9, zorder=4, bbox=box)


def _arrow(ax, start, end, leave_at, arrive_at, probability):
    along = (end - start) / np.linalg.norm(end - start)
    aside = np.array([-along[1], along[0]])
    a = start + along * leave_at + 0.06 * aside
    b = end - along * arrive_at + 0.06 * aside
    style = {"arrowstyle": "-|>", "color": "#555555", "lw": 0.6 + 4 * probability}
    ax.annotate("", b, a, arrowprops={**style, "shrinkA": 1, "shrinkB": 1}, zorder=2)
    at = a + 0.34 * (b - a)
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.9, "pad": 0.8}
    text = f"{probability:.2f}"
    ax.text(*at, text, fontsize=9, ha="center", va="center", color="#222222", zorder=5, bbox=box)


def plot_layers(
    model: BaseEstimator,
    figure: Figure | None = None,
    *,
    n_ranked: int = 5,
    positions: ArrayLike | None = None,
    states: Sequence[int] | None = None,
    reliability: ArrayLike | None = None,
    least: float = 0.75,
) -> Figure:
    """Draw the layers of the network side by side, the communities of the highest rank in color.

    Parameters
    ----------
    model : HiddenMarkovGraph or another fitted state model
    figure : Figure, default=None
    n_ranked : int, default=5
        Communities in color, over all layers.
    positions : array-like of shape (n_regions, 2), default=None
        Positions of the drawn regions, for instance x and y of their centers; None is a circle,
        ordered by the communities of state 0.
    states : sequence of int, default=None
        Layers to draw; None the first six.
    reliability : array-like of shape (n_communities,), default=None
        Column of :func:`~sklearn_meg.dynamics.community_reliability`: communities below `least`
        stay gray.
    least : float, default=0.75
        Smallest reliability of a community in color.

    Returns
    -------
    figure : Figure
        Area of a node: share of time of the walk.

    Raises
    ------
    ValueError
        For positions of other regions.

    Examples
    --------
    >>> from sklearn_meg.datasets import make_states
    >>> from sklearn_meg.dynamics import SingleGaussian
    >>> from sklearn_meg.plotting import plot_layers
    >>> figure = plot_layers(SingleGaussian().fit(make_states("easy", n_times=100).X))
    """
    from .._figures import PALETTE, make_row_of_axes, style

    n = model.n_features_in_
    states = range(min(6, len(model.layers_))) if states is None else list(states)
    where = _circle(model, n) if positions is None else np.asarray(positions, dtype=float)
    if where.shape != (n, 2):
        raise ValueError(f"positions must have the shape ({n}, 2). Got {where.shape}.")
    palette = [c for c in PALETTE if c != "#7F7F7F"]
    ranks = _ranks(model, min(n_ranked, len(palette)), reliability, least)
    palette = dict(zip(ranks.values(), palette))
    with style():
        if figure is None:
            axes = make_row_of_axes(len(states))
            figure = axes[0].figure
            figure.set_size_inches(3.0 * len(states) + 0.3, 3.9)
        else:
            axes = figure.subplots(1, len(states), squeeze=False)[0]
        for ax, k in zip(axes, states):
            _draw_layer(ax, model, k, where, ranks, palette)
        _legend(figure, ranks, palette)
    return figure


def _circle(model, n):
    order = np.argsort(model.communities_[0], kind="stable")
    angles = np.empty(n)
    angles[order] = 2 * np.pi * np.arange(n) / n
    return np.c_[np.cos(angles), np.sin(angles)]


def _ranks(model, n, reliability, least):
    """Rank of the first communities that are reliable, by state and label."""
    k, labels = (model.ranking_[name] for name in ("state", "label"))
    values = np.ones(len(k)) if reliability is None else np.asarray(reliability, dtype=float)
    if values.shape != k.shape:
        raise ValueError(f"reliability must have the shape {k.shape}. Got {values.shape}.")
    kept = [rank for rank in range(len(k)) if values[rank] >= least][:n]
    return {(int(k[rank]), int(labels[rank])): rank for rank in kept}


def _draw_layer(ax, model, k, where, ranks, palette):
    from matplotlib.collections import LineCollection

    ax.grid(False)
    ax.axis("off")
    labels, layer, visits = model.communities_[k], model.layers_[k], model.visits_[k]
    rank = np.array([ranks.get((k, int(label)), -1) for label in labels])
    i, j = np.nonzero(np.triu(layer))
    inside = (labels[i] == labels[j]) & (rank[i] >= 0)
    for some, alpha in ((~inside, 0.35), (inside, 0.7)):
        colors = [palette[r] if r >= 0 else "#BBBBBB" for r in np.where(inside, rank[i], -1)[some]]
        lines = np.stack([where[i[some]], where[j[some]]], axis=1)
        ax.add_collection(LineCollection(lines, colors=colors, linewidths=0.8, alpha=alpha))
    size = 70 * visits / model.visits_.max() + 8
    colors = [palette[r] if r >= 0 else OTHER for r in rank]
    ax.scatter(*where.T, s=size, c=colors, edgecolors="#444444", linewidths=0.5, zorder=3)
    ax.set_title(f"State {k}, {model.occupancy_[k]:.0%} of time")
    ax.set_aspect("equal")
    ax.margins(0.1)


def _legend(figure, ranks, palette):
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker="o", linestyle="", color=palette[rank],
               label=f"rank {rank + 1} (state {k})")
        for (k, _), rank in ranks.items()
    ]  # fmt: skip
    handles.append(Line2D([], [], marker="o", linestyle="", color=OTHER, label="others"))
    columns = max(1, int(figure.get_size_inches()[0] / 1.6))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, handletextpad=0.1)


def plot_selection(selection: StateSelection, figure: Figure | None = None) -> Figure:
    """Draw each criterion against the number of states.

    Parameters
    ----------
    selection : StateSelection
        From :func:`~sklearn_meg.dynamics.select_n_states`.
    figure : Figure, default=None

    Returns
    -------
    figure : Figure
        Held-out log-likelihood (bars: one standard error of the distance to the best), entropy
        of the held-out occupancies, and agreement of restarts and of halves of the recordings; a
        line where a rule chooses, a red cross where states should not be believed.

    Examples
    --------
    >>> from sklearn_meg.datasets import make_states
    >>> from sklearn_meg.dynamics import MixtureStates, select_n_states
    >>> from sklearn_meg.plotting import plot_selection
    >>> data = make_states("easy", n_states=2, n_subjects=3, n_times=300, n_regions=10)
    >>> model = MixtureStates(n_init=1, random_state=0)
    >>> figure = plot_selection(select_n_states(model, data.X, (1,)))
    """
    from .._figures import PALETTE, make_row_of_axes, style

    table = selection.table_
    panels = (
        ("loglik", "Log-likelihood (nats / sample)", "likelihood"),
        ("entropy", "Entropy of occupancies (nats)", "entropy"),
        ("stability", "Adjusted Rand index", "stability"),
    )
    with style():
        if figure is None:
            axes = make_row_of_axes(3)
            figure = axes[0].figure
            figure.set_size_inches(11, 3.4)
        else:
            axes = figure.subplots(1, 3)
        for ax, (column, label, rule), color in zip(axes, panels, PALETTE):
            error = table["loglik_sem"] if column == "loglik" else None
            ax.errorbar(table["n_states"], table[column], error, marker="o", color=color, capsize=3)
            chosen = selection.choices_[rule]
            ax.axvline(chosen, color="#222222", linestyle="--", linewidth=1)
            ax.set(xlabel="Number of states", ylabel=label, xticks=table["n_states"])
            mark = " (recommended)" if rule == "likelihood" else ""
            ax.set_title(f"{rule}: {chosen}{mark}", fontsize=11)
        if "generalization" in table and table["generalization"].notna().any():
            ax.plot(
                table["n_states"], table["generalization"], marker="s", color="#666666",
                label="halves of recordings",
            )  # fmt: skip
            ax.legend()
        doubtful = table[table["doubts"] > 0.5] if "doubts" in table else table[:0]
        axes[0].plot(doubtful["n_states"], doubtful["loglik"], "x", color="#B00020", markersize=12)
    return figure
