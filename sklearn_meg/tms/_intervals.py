"""How far a prediction can be trusted: conformal intervals, and fields unlike those of training."""

import numpy as np

from ._settings import FIT

GROUP_STARTS = (0, 3, 6, 12, 24, 48)


def conformal_margin(residuals, coverage):
    """Half width of a split-conformal interval.

    residuals (n, n_outputs): Absolute errors on samples that were not trained on; NaN where there
        is none.
    coverage: Between 0 and 1.
    Returns margin (n_outputs,): The interval prediction +- margin holds a new sample, exchangeable
        with these, with at least this probability.
    Raises ValueError if there are too few residuals for this coverage.

    Lei, G'Sell, Rinaldo, Tibshirani, Wasserman (2018), Distribution-free predictive inference
    for regression, J. Am. Stat. Assoc. 113.

    >>> import numpy as np
    >>> from sklearn_meg.tms._intervals import conformal_margin
    >>> conformal_margin(np.arange(1.0, 100.0)[:, np.newaxis], 0.9)
    array([90.])
    """
    margins = []
    for column in residuals.T:
        known = np.sort(column[~np.isnan(column)])
        rank = int(np.ceil(np.round((len(known) + 1) * coverage, 9)))
        if rank > len(known):
            needed = int(np.ceil(np.round(coverage / (1 - coverage), 9)))
            raise ValueError(
                f"An interval of coverage {coverage:g} needs at least {needed} held-out samples "
                f"with a threshold. Got {len(known)}: fit with more samples, or a larger "
                "validation_fraction."
            )
        margins.append(known[rank - 1])
    return np.array(margins)


def grouped_residuals(residuals, groups, n_quantiles=40):
    """Residuals in which every group counts as much, with the spread between groups.

    Each group is replaced by the same number of its quantiles. A new group may be worse than
    these: one more is added, the worst of them once again (as the largest of n + 1 exchangeable
    groups would be).

    residuals (n, n_outputs), groups (n,)
    Returns residuals ((n_groups + 1) * n_quantiles, n_outputs)
    """
    levels = (np.arange(n_quantiles) + 0.5) / n_quantiles
    parts = []
    for group in np.unique(groups):
        known = residuals[groups == group]
        known = known[np.isfinite(known).all(axis=1)]
        if len(known):
            parts.append(np.quantile(known, levels, axis=0))
    worst = max(parts, key=lambda part: np.median(part))
    return np.concatenate([*parts, worst])


def fit_novelty(grids, held_out=None):
    """Learn how much of normalized grids is coarse and how much is fine structure.

    grids (n, n_features)
    held_out (n_held_out, n_features) or None: Grids that say how far usual ones are from others;
        None leaves each of `grids` out in turn (cross-validation).
    Returns state (dict): For :func:`novelty`: ``mean``, principal ``axes``
        (n_features, n_components) over the standard deviations along them, and means and scales of
        :func:`_energies` of left-out grids (``high``) and of `grids` (``low``).
    and scores (ndarray): Novelty of the left-out grids.
    """
    n_folds = min(FIT.n_folds, len(grids))
    n = max(1, min(FIT.n_components, len(grids) * (n_folds - 1) // n_folds // 3))
    state = _principal(grids, n)
    if held_out is not None:
        energies = _energies(held_out, state)
    else:
        folds = np.arange(len(grids)) % n_folds
        parts = [(grids[folds != k], grids[folds == k]) for k in range(n_folds)]
        parts = parts if n_folds > 1 else [(grids, grids)]
        energies = np.concatenate([_energies(left, _principal(rest, n)) for rest, left in parts])
    for name, values in {"high": energies, "low": _energies(grids, state)}.items():
        state[f"{name}_mean"] = values.mean(axis=0)
        state[f"{name}_scale"] = np.maximum(values.std(axis=0), 1e-6)
    return state, _farthest(energies, state)


def novelty(grids, state):
    """Energy of a grid on the scale where it is most unusual, as a deviate.

    grids (n, n_features)
    state (dict): From :func:`fit_novelty`.
    Returns score (n,): Largest distance of a log energy from its mean, in standard deviations,
        over groups of principal components.
    """
    return _farthest(_energies(grids, state), state)


def _farthest(energies, state):
    """Above the energies of left-out grids, or below those of the grids that were learned from."""
    above = (energies - state["high_mean"]) / state["high_scale"]
    below = (state["low_mean"] - energies) / state["low_scale"]
    return np.maximum(above, below).max(axis=1)


def _principal(grids, n):
    """Mean and the first principal axes, over the standard deviations along them."""
    mean = grids.mean(axis=0)
    centered = grids - mean
    values, vectors = np.linalg.eigh(centered @ centered.T)
    values, vectors = values[::-1][:n], vectors[:, ::-1][:, :n]
    values = np.where(values > 1e-12 * max(values[0], 1e-300), values, np.inf)  # axes of zeros
    return {"mean": mean, "axes": centered.T @ vectors * (np.sqrt(len(grids)) / values)}


def _energies(grids, state):
    """Log mean squares: in groups of axes, each twice as many as the last; outside; of x, y, z."""
    centered, axes = grids - state["mean"], state["axes"]
    along = (centered @ axes) ** 2
    # axes are unit directions over standard deviations: undo that to see what they explain
    explained = (along / np.maximum((axes**2).sum(axis=0), 1e-300)).sum(axis=1)
    total = (centered**2).sum(axis=1)
    starts = [i for i in GROUP_STARTS if i < along.shape[1]]
    sizes = np.diff([*starts, along.shape[1]])
    groups = np.add.reduceat(along, starts, axis=1) / sizes
    left = np.maximum(total - explained, 1e-9 * total)
    components = (grids.reshape(len(grids), -1, 3) ** 2).mean(axis=1)
    return np.log(np.column_stack([groups, left, components]) + 1e-12)
