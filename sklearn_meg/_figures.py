"""Palette, style and axes that all figures share."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import matplotlib
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator


# Okabe and Ito (2008): told apart by color-blind readers.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7F7F7F", "#000000")


COLORS = {
    "trf": "#0072B2",
    "quadratic_trf": "#56B4E9",
    "rtrf": "#E69F00",
    "dre": "#009E73",
    "default": "#009E73",
    "paper": "#CC79A7",
    "mean": "#7F7F7F",
    "subject_mean": "#7F7F7F",
    "oracle": "#000000",
}


LABELS = {
    "r": "Pearson R across trials",
    "r_time": "Pearson R over time",
    "r2": "R² across trials",
}


@contextmanager
def style() -> Iterator[None]:
    """Apply the settings of all figures: readable sizes, few lines.

    Examples
    --------
    >>> from sklearn_meg.plotting import style
    >>> with style():
    ...     pass  # draw
    """
    settings = {
        "font.size": 11,
        "axes.titlesize": 12,
        "axes.titleweight": "bold",
        "axes.labelsize": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        "grid.color": "#E6E6E6",
        "grid.linewidth": 0.8,
        "lines.linewidth": 2.0,
        "legend.frameon": False,
        "legend.fontsize": 10,
        "figure.dpi": 100,
        "savefig.dpi": 150,
        "text.parse_math": False,  # names of files and channels are text, whatever is in them
    }
    with matplotlib.rc_context(settings):
        yield


def model_colors(names):
    """Color of each model: fixed for the names in `COLORS`, from the palette otherwise.

    >>> from sklearn_meg._figures import model_colors
    >>> model_colors(["trf", "mine"])["trf"]
    '#0072B2'
    """
    names = list(dict.fromkeys(names))
    taken = {COLORS[name] for name in names if name in COLORS}
    free = [color for color in PALETTE if color not in taken] or list(PALETTE)
    others = iter(free * len(names))
    return {name: COLORS[name] if name in COLORS else next(others) for name in names}


def line_and_band(ax, times, curve, name, color):
    curve = curve[~np.isnan(curve).all(axis=1)]
    if not len(curve):
        return
    mean = curve.mean(axis=0)
    ax.plot(times, mean, color=color, label=name)
    if len(curve) > 1:
        sem = curve.std(axis=0, ddof=1) / np.sqrt(len(curve))
        ax.fill_between(times, mean - sem, mean + sem, color=color, alpha=0.2, linewidth=0)


def topomap_picks(info):
    """Channels of one type that have positions: magnetometers, else EEG, else gradiometers."""
    from mne import pick_types

    for kind in ({"meg": "mag"}, {"eeg": True}, {"meg": "grad"}):
        picks = pick_types(info, exclude=(), **kind)
        places = np.array([info["chs"][pick]["loc"][:3] for pick in picks]).reshape(-1, 3)
        there = np.isfinite(places).all(axis=1) & (np.abs(places).sum(axis=1) > 0)
        if there.sum() >= 3 and len(np.unique(places[there].round(6), axis=0)) >= 3:
            return picks[there]
    return np.array([], dtype=int)


def default_times(times, n=5):
    """`n` times spread from 0 s (or the start) to the end, without the ends themselves."""
    first = max(0.0, float(times[0])) if times[-1] > 0 else float(times[0])
    return np.linspace(first, float(times[-1]), n + 2)[1:-1]


def make_axes(ax, size):
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def make_row_of_axes(n):
    import matplotlib.pyplot as plt

    return plt.subplots(1, n, figsize=(2.1 * n + 0.8, 2.7), layout="constrained", squeeze=False)[1][
        0
    ]


def plain_log_ticks(axis):
    """1, 2, 5, 10, ... in plain figures: powers of ten say little within two decades."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
