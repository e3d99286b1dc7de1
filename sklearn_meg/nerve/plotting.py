"""Figures of decoded intent; public through :mod:`sklearn_meg.plotting`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._typing import ArrayLike, Axes
    from .stream import Decision

WITHHELD = "#BBBBBB"
LINES = ("-", "--", ":", "-.")
MANY = 12  # classes, above which a matrix has no numbers
APART = 1.5  # movements, one above the other


def plot_accuracy_over_days(
    scores: dict,
    days: ArrayLike | None = None,
    ax: Axes | None = None,
    *,
    chance: float | None = None,
) -> Axes:
    """Draw the accuracy of models over sessions, with and without adaptation.

    Parameters
    ----------
    scores : dict
        Name of a model -> accuracies ``(n_days,)`` or ``(n_seeds, n_days)``; or name of a model ->
        dict of kind of adaptation -> accuracies: a color for each model, a kind of line for each
        kind of adaptation. Several seeds give a band of their standard deviation.
    days : array-like of shape (n_days,), default=None
        When the sessions were; None is 1, 2, ...
    ax : Axes, default=None
    chance : float, default=None
        Accuracy of guessing: a thin line.

    Returns
    -------
    ax : Axes

    Raises
    ------
    ValueError
        For accuracies that do not have one value for each day.

    Examples
    --------
    >>> from sklearn_meg.plotting import plot_accuracy_over_days
    >>> ax = plot_accuracy_over_days({"NerveDecoder": {"none": [0.9, 0.4], "batch": [0.9, 0.8]}})
    """
    from .._figures import make_axes, model_colors, style

    kinds, curves = _curves(scores)
    n_days = len(curves[0][2][0]) if days is None else len(days)
    days = np.arange(1, n_days + 1) if days is None else np.asarray(days, dtype=float)
    for name, _, values in curves:
        if values.shape[1] != n_days:
            raise ValueError(
                f"scores must have one value for each of the {n_days} days. Got the shape "
                f"{values.shape} for {name!r}."
            )
    colors = model_colors(scores)
    with style():
        ax = make_axes(ax, (7, 4))
        for name, kind, values in curves:
            mean, spread = values.mean(axis=0), values.std(axis=0)
            line = LINES[kinds.index(kind) % len(LINES)]
            label = name if kind is None else f"{name}, {kind}"
            ax.plot(days, mean, line, color=colors[name], marker="o", markersize=4, label=label)
            if len(values) > 1:
                ax.fill_between(
                    days, mean - spread, mean + spread, color=colors[name], alpha=0.2, linewidth=0
                )
        if chance is not None:
            ax.axhline(chance, color="#999999", linewidth=1)
            ax.annotate(
                "chance", (1, chance), (-2, 3), xycoords=("axes fraction", "data"),
                textcoords="offset points", ha="right", fontsize=9, color="#777777",
            )  # fmt: skip
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set(xlabel="Day", ylabel="Accuracy", ylim=(0, 1.02))
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def plot_confusion(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    names: dict | Sequence | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the confusion matrix, in percent of the trials of each class.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_trials,)
    names : dict or sequence, default=None
        Names of the classes: by class, or by index. None writes the classes.
    ax : Axes, default=None

    Returns
    -------
    ax : Axes
        With the accuracy in the title.

    Raises
    ------
    ValueError
        For arrays that differ in length or hold nothing.

    Examples
    --------
    >>> from sklearn_meg.plotting import plot_confusion
    >>> ax = plot_confusion(["fist", "rest", "fist"], ["fist", "rest", "rest"])
    """
    from .._figures import make_axes, style

    true, predicted = np.asarray(y_true), np.asarray(y_pred)
    if true.shape != predicted.shape or true.ndim != 1 or not len(true):
        raise ValueError(
            f"y_true and y_pred must have the shape (n_trials,). Got {true.shape} and "
            f"{predicted.shape}."
        )
    classes = np.unique(np.concatenate([true, predicted]))
    counts = (true == classes[:, None]).astype(float) @ (predicted == classes[:, None]).T
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    labels = [_name_of(c, names) for c in classes]
    n = len(classes)
    with style():
        ax = make_axes(ax, (2.6 + 0.45 * min(n, 14), 2.2 + 0.42 * min(n, 14)))
        ax.grid(False)
        image = ax.imshow(share, cmap="Blues", vmin=0, vmax=100)
        bar = ax.figure.colorbar(image, ax=ax, shrink=0.8)
        bar.set_label("Trials of the true class (%)")
        ax.set_xticks(range(n), labels, rotation=45, ha="right", rotation_mode="anchor")
        ax.set_yticks(range(n), labels)
        if n > MANY:
            ax.tick_params(labelsize=7)
        for i, j in np.argwhere(share > 0) if n <= MANY else ():
            color = "white" if share[i, j] > 50 else "black"
            ax.text(j, i, f"{share[i, j]:.0f}", ha="center", va="center", color=color, fontsize=9)
        ax.set(xlabel="Decoded", ylabel="True")
        ax.set_title(f"accuracy {100 * (true == predicted).mean():.1f} %")
    return ax


def plot_latency(
    latencies: ArrayLike, ax: Axes | None = None, *, limit: float | None = None
) -> Axes:
    """Draw how long decisions took.

    Parameters
    ----------
    latencies : array-like of shape (n_decisions,)
        Seconds, as ``NerveStream.latencies``.
    ax : Axes, default=None
    limit : float, default=None
        Seconds a decision may take, the hop for example: a dashed line.

    Returns
    -------
    ax : Axes
        Histogram in ms, on a logarithmic axis, with the 95th percentile.

    Raises
    ------
    ValueError
        For no latency, or one that is not a positive number.

    Examples
    --------
    >>> from sklearn_meg.plotting import plot_latency
    >>> ax = plot_latency([0.001, 0.0012, 0.002], limit=0.02)
    """
    from .._figures import PALETTE, make_axes, plain_log_ticks, style

    ms = 1e3 * np.asarray(latencies, dtype=float).ravel()
    if not len(ms) or not (np.isfinite(ms) & (ms > 0)).all():
        raise ValueError(f"latencies must be positive numbers, seconds. Got {latencies!r}.")
    p95 = np.percentile(ms, 95)
    edges = np.geomspace(0.8 * ms.min(), 1.25 * ms.max(), 41)
    with style():
        ax = make_axes(ax, (6, 3.5))
        ax.hist(ms, bins=edges, color=PALETTE[0])
        ax.axvline(p95, color=PALETTE[5], label=f"95th percentile {p95:.2g} ms")
        if limit is not None:
            label = f"limit {1e3 * limit:g} ms"
            ax.axvline(1e3 * limit, color="#777777", linestyle="--", label=label)
        ax.set_xscale("log")
        plain_log_ticks(ax.xaxis)
        ax.set_title(f"median {np.median(ms):.2g} ms, {len(ms)} decisions")
        ax.set(xlabel="Computation of a decision (ms)", ylabel="Decisions")
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def plot_stream(
    decisions: list[Decision],
    truth: ArrayLike | None = None,
    ax: Axes | None = None,
    *,
    names: dict | Sequence | None = None,
) -> Axes:
    """Draw a decoded stream beside the truth.

    Parameters
    ----------
    decisions : list of Decision
        Output of :meth:`NerveStream.push`: classes or movements.
    truth : array-like, default=None
        The class at each decision, ``(n_decisions,)``; or the movements, ``(n_decisions, n_dof)``.
    ax : Axes, default=None
    names : dict or sequence, default=None
        Names of classes, by class or by index; or of the degrees of freedom.

    Returns
    -------
    ax : Axes
        Classes: a row each, decided windows as bars on the light bands of the truth. Movements: a
        line each, the truth in light color. Where decisions were withheld the ground is gray.

    Raises
    ------
    ValueError
        For no decision, or a truth of another length.

    Examples
    --------
    >>> from sklearn_meg.nerve import NerveStream, WindowClassifier
    >>> from sklearn_meg.datasets import make_nerve
    >>> from sklearn_meg.plotting import plot_stream
    >>> nerve = make_nerve(n_train=2, n_test=1, duration=0.4, sfreq=1000.0)
    >>> model = WindowClassifier(sfreq=1000.0, session_row=-1).fit(nerve.X, nerve.y)
    >>> decisions = NerveStream(model).push(nerve.X[0, :-1])
    >>> ax = plot_stream(decisions, [nerve.y[0]] * len(decisions), names=nerve.gestures)
    """
    from .._figures import make_axes, style

    decisions = list(decisions)
    if not decisions:
        raise ValueError("decisions must hold at least one Decision. Got none.")
    if truth is not None and len(truth) != len(decisions):
        raise ValueError(
            f"truth must have one value for each of the {len(decisions)} decisions. "
            f"Got {len(truth)}."
        )
    times = np.array([d.time for d in decisions])
    hop = float(np.median(np.diff(times))) if len(times) > 1 else 0.02
    withheld = np.array([d.label is None for d in decisions])
    moves = any(np.ndim(d.label) == 1 for d in decisions) or np.ndim(truth) == 2
    with style():
        ax = make_axes(ax, (9, 4))
        ax.grid(False)
        (_draw_movements if moves else _draw_classes)(ax, decisions, truth, times, hop, names)
        if withheld.any():
            _draw_spans(ax, times[withheld], hop)
        ax.set(xlabel="Time (s)", xlim=(times[0] - hop, times[-1]))
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def _curves(scores):
    """Kinds of adaptation, and (model, kind, accuracies of shape (n_seeds, n_days)) of all."""
    curves = [
        (name, kind, np.atleast_2d(np.asarray(values, dtype=float)))
        for name, each in scores.items()
        for kind, values in (each.items() if isinstance(each, dict) else [(None, each)])
    ]
    if not curves:
        raise ValueError("scores must hold at least one model. Got none.")
    return list(dict.fromkeys(kind for _, kind, _ in curves)), curves


def _name_of(label, names):
    if isinstance(names, dict):
        return str(names.get(label, label))
    return str(label if names is None else names[int(label)])


def _draw_classes(ax, decisions, truth, times, hop, names):
    from .._figures import PALETTE

    decided = [d.label for d in decisions]
    known = [label for label in decided if label is not None]
    rows = np.unique(known if truth is None else np.concatenate([known, truth]))
    where = {label: row for row, label in enumerate(rows.tolist())}
    parts = [] if truth is None else [(truth, 0.9, "#BFDDF0", "true")]
    for labels, height, color, name in [*parts, (decided, 0.36, PALETTE[0], "decided")]:
        shown = [(t, where[np.asarray(c).item()]) for t, c in zip(times, labels) if c is not None]
        if shown:
            t, row = np.array(shown).T
            ax.barh(row, hop, height, t - hop, color=color, linewidth=0, label=name)
    ax.set_yticks(range(len(rows)), [_name_of(label, names) for label in rows.tolist()])
    ax.set_ylim(len(rows) - 0.5, -0.5)


def _draw_movements(ax, decisions, truth, times, hop, names):
    from .._figures import PALETTE

    n_dof = next(
        (len(d.label) for d in decisions if d.label is not None),
        0 if truth is None else np.shape(truth)[1],
    )
    empty = np.full(n_dof, np.nan)
    decided = np.array([empty if d.label is None else d.label for d in decisions])
    jump = np.flatnonzero(np.diff(times) > 1.5 * hop) + 1  # lines break where time does
    for k in range(n_dof):
        color, level = PALETTE[k % len(PALETTE)], -APART * k
        ax.axhline(level, color="#E6E6E6", linewidth=0.8, zorder=0)
        curves = [] if truth is None else [(np.asarray(truth, float)[:, k], 5.0, 0.35)]
        for values, width, alpha in [*curves, (decided[:, k], 1.5, 1.0)]:
            t, v = np.insert(times, jump, np.nan), np.insert(values, jump, np.nan)
            ax.plot(t, v + level, color=color, linewidth=width, alpha=alpha)
    ax.plot([], [], color="#444444", linewidth=1.5, label="decoded")
    if truth is not None:
        ax.plot([], [], color="#444444", linewidth=5.0, alpha=0.35, label="true")
    labels = [str(k) if names is None else str(names[k]) for k in range(n_dof)]
    ax.set_yticks(-APART * np.arange(n_dof), labels)
    ax.set_ylabel(f"Movement ({APART:g} from line to line)")


def _draw_spans(ax, ends, hop):
    """Shade the times where decisions were withheld; neighbors joined."""
    starts = np.flatnonzero(np.diff(ends, prepend=-np.inf) > 1.5 * hop)
    for k, (first, last) in enumerate(zip(starts, np.append(starts[1:], len(ends)) - 1)):
        ax.axvspan(
            ends[first] - hop, ends[last], color=WITHHELD, alpha=0.6, linewidth=0, zorder=0,
            label="" if k else "withheld",
        )  # fmt: skip
