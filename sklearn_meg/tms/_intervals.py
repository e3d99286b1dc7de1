"""How far a prediction can be trusted: conformal intervals, and fields unlike those of training."""

import numpy as np

from ._settings import FIT

GROUP_STARTS = (0, 3, 6, 12, 24, 48)


def conformal_margin(residuals, coverage):
    """Half width of a split-conformal interval.

    Parameters
    ----------
    residuals : ndarray of shape (n, n_outputs)
        Absolute errors on samples that were not trained on; NaN where there is none.
    coverage : float
        Between 0 and 1.

    Returns
    -------
    margin : ndarray of shape (n_outputs,)
        The interval prediction +- margin holds a new sample, exchangeable with these, with at
        least this probability.

    Raises
    ------
    ValueError
        If there are too few residuals for this coverage.

    References
    ----------
    Lei, G'Sell, Rinaldo, Tibshirani, Wasserman (2018), Distribution-free predictive inference
    for regression, J. Am. Stat. Assoc. 113.

    Examples
    --------
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

    Parameters
    ----------
    residuals : ndarray of shape (n, n_outputs)
    groups : ndarray of shape (n,)
    n_quantiles : int

    Returns
    -------
    residuals : ndarray of shape ((n_groups + 1) * n_quantiles, n_outputs)
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


def fit_novelty(grids):
    """Learn how much of normalized grids is coarse and how much is fine structure.

    Parameters
    ----------
    grids : ndarray of shape (n, n_features)

    Returns
    -------
    state : dict
        For :func:`novelty`: ``mean``, principal ``axes`` (n_features, n_components) over the
        standard deviations along them, and mean and scale of :func:`_energies`.
    """
    mean = grids.mean(axis=0)
    centered = grids - mean
    values, vectors = np.linalg.eigh(centered @ centered.T)
    n = min(FIT.n_components, max(1, len(grids) // 3))
    values, vectors = values[::-1][:n], vectors[:, ::-1][:, :n]
    keep = values > 1e-12 * max(values[0], 1e-300)
    directions = centered.T @ vectors[:, keep] / np.sqrt(values[keep])
    axes = directions * np.sqrt(len(grids) / values[keep])
    energies = _energies(centered, axes)
    return {
        "mean": mean,
        "axes": axes,
        "energy_mean": energies.mean(axis=0),
        "energy_scale": np.maximum(energies.std(axis=0), 1e-6),
    }


def novelty(grids, state):
    """How unusual the energy of a grid is on the scale where it is most unusual.

    Parameters
    ----------
    grids : ndarray of shape (n, n_features)
    state : dict
        From :func:`fit_novelty`.

    Returns
    -------
    score : ndarray of shape (n,)
        Largest standardized log energy over groups of principal components.
    """
    energies = _energies(grids - state["mean"], state["axes"])
    return ((energies - state["energy_mean"]) / state["energy_scale"]).max(axis=1)


def _energies(centered, axes):
    """Log mean square in groups of components, each twice as many as the last, and outside."""
    along = (centered @ axes) ** 2
    # axes are unit directions over standard deviations: undo that to see what they explain
    explained = (along / (axes**2).sum(axis=0)).sum(axis=1)
    total = (centered**2).sum(axis=1)
    starts = [i for i in GROUP_STARTS if i < along.shape[1]]
    sizes = np.diff([*starts, along.shape[1]])
    groups = np.add.reduceat(along, starts, axis=1) / sizes if starts else along
    left = np.maximum(total - explained, 1e-9 * total)
    return np.log(np.column_stack([groups, left]) + 1e-12)
