"""Parts of the figures of neurons: sections, fields along them, where a spike starts."""

import numpy as np

N_ARROWS = 45
NEAR_ZERO = 1e-12
TISSUE = {
    "soma and dendrites": ("SOMA", "DENDRITE", "APICAL"),
    "axon without myelin": ("AXON", "INITIAL_SEGMENT", "TERMINAL"),
    "internodes": ("INTERNODE",),
}


def _draw_activation(ax, activation, seen):
    """Mark where a neuron fires; a neuron that does not is said so."""
    title = f"{ax.get_title()}: does not fire"
    if np.isfinite(activation.threshold):
        at = np.asarray(activation.position, float)[seen]
        ax.plot(*at, "*", color="#D55E00", markersize=16, markeredgecolor="white", zorder=5)
        ax.annotate(activation.site, at, xytext=(9, 9), textcoords="offset points", fontsize=9)
        latency = 1e-3 * activation.latency
        threshold = float(f"{activation.threshold:.3g}")
        title = f"{ax.get_title()}: {threshold:g} A/µs, after {latency:.2f} ms"
    ax.set_title(title)


def _field_at(morphology, field):
    if field is None:
        return None
    E = np.asarray(field(1e-6 * morphology.points) if callable(field) else field, float)
    if E.shape != morphology.points.shape or not np.isfinite(E).all():
        raise ValueError(
            f"field must be finite and of the shape {morphology.points.shape}, one vector for "
            f"each point of the morphology. Got {E.shape}."
        )
    return E


def _draw_parts(ax, morphology, ends, widths):
    from matplotlib.collections import LineCollection

    from .._figures import PALETTE
    from . import Kind

    for (name, kinds), color in zip(TISSUE.items(), PALETTE, strict=False):
        chosen = np.isin(morphology.kinds[1:], [Kind[kind] for kind in kinds])
        if chosen.any():
            lines = LineCollection(
                ends[chosen], linewidths=widths[chosen], colors=color, capstyle="round", label=name
            )
            ax.add_collection(lines)
    # Nodes are 1 um long: as lines nobody would see them.
    nodes = morphology.kinds[1:] == Kind.NODE
    ax.plot(*ends[nodes, 1].T, ".", color=PALETTE[5], markersize=4, label="nodes of Ranvier")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _draw_field(ax, points, ends, widths, E, seen):
    from matplotlib.collections import LineCollection

    magnitude = np.linalg.norm(E, axis=1)
    lines = LineCollection(ends, linewidths=widths, cmap="viridis", capstyle="round")
    lines.set_array(magnitude[1:])
    ax.add_collection(lines)
    bar = ax.figure.colorbar(lines, ax=ax, shrink=0.7)
    bar.set_label("|E| (V/m for each A/µs)")
    chosen = _spread(points, N_ARROWS)
    arrows = E[chosen][:, seen]
    ax.quiver(
        *points[chosen].T, *arrows.T, color="#D55E00", width=0.004, zorder=3, angles="xy",
        scale=9 * max(magnitude.max(), NEAR_ZERO),
    )  # fmt: skip


def _spread(points, n):
    """Indices of up to n points that are far from each other: each next one is the farthest."""
    chosen = [0]
    distance = np.linalg.norm(points - points[0], axis=1)
    while len(chosen) < min(n, len(points)) and distance.max() > 0:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return chosen
