"""The physics inside a model of thresholds: fitted with NumPy, applied with torch.

A fitted physics is a dict of arrays: ``basis`` (n_basis, 3 * size**3) are the patterns of a grid
that matter, ``forms`` (rank, n_sites, n_basis) and ``courses`` (n_looks, rank) make polarizations
of them, ``log_weights`` (n_outputs, n_sites) and ``level``
(n_outputs,) make log thresholds (V/m at the center, for fields of 1 V/m there), ``power`` is that
of the mean over time. A correction (a Gaussian process of what physics leaves) adds ``at``
(m, n_sites), ``alpha`` (n_outputs, m) and ``gamma``.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.model_selection import GroupKFold, KFold

from .._checks.params import check_random_state
from ._drive import (
    DRIVE,
    Constants,
    SiteDrive,
    fit_constants,
    fit_kind_weights,
    fit_site_weights,
    soft_highest,
)
from ._passive import low_passed
from ._settings import FIT

__all__ = [
    "apply_physics",
    "as_tensors",
    "correction_outputs",
    "cross_validated_errors",
    "fit_correction",
    "fit_physics",
    "physics_outputs",
    "untrained_physics",
]


def untrained_physics(drive, n_outputs=1):
    """Physics with the constants of the built-in membranes; nothing is left out."""
    sites = np.arange(len(drive.kinds))
    constants = Constants()
    weights = np.zeros((n_outputs, len(sites)))
    level = np.full(n_outputs, np.log(constants.threshold))
    return _packed(drive.compact(sites, constants.tau), constants, weights, level)


def fit_physics(drive, grids, y):
    """Fit what turns polarizations into thresholds.

    drive (SiteDrive)
    grids (n, 3 * size**3): Fields, 1 V/m at the center.
    y (n, n_outputs): Thresholds in V/m at the center, NaN where none is known.
    Returns physics (dict of ndarray)
    """
    known = np.flatnonzero(np.isfinite(y).any(axis=1))[: DRIVE.most]
    scale = np.nanmedian(y, axis=0)
    typical = np.nanmedian(y[known] / scale, axis=1) * np.nanmedian(y)
    constants = fit_constants(drive, grids[known], typical)
    passed = SiteDrive(low_passed(drive.courses, constants.tau), drive.forms, drive.kinds)
    drives = passed.drives(grids[known], constants.power)
    weights = fit_kind_weights(drive.kinds, drives, typical)
    share = DRIVE.relevant if len(known) >= FIT.few else FIT.keep_of_few
    weighted = drives * weights
    sites = np.flatnonzero((weighted > share * weighted.max(axis=1, keepdims=True)).any(axis=0))
    compact = drive.compact(sites, constants.tau)
    log_weights, level = _fit_outputs(compact, constants, np.log(weights[sites]), grids, y)
    return _packed(compact, constants, log_weights, level)


def _fit_outputs(compact, constants, start, grids, y):
    """Log weights of sites and levels of every output."""
    drives = compact.drives(grids, constants.power)
    top = np.maximum(drives.max(axis=1, keepdims=True), 1e-12)
    logs = np.log(np.maximum(drives / top, FIT.floor)) + start
    found = []
    for column in y.T:
        known = np.isfinite(column)
        log_y = np.log(column[known]) + np.log(top[known, 0])
        if known.sum() >= DRIVE.fewest_for_sites:
            weights, level = fit_site_weights(logs[known], log_y)
        else:
            weights = np.zeros(len(start))
            level = float(np.median(log_y + soft_highest(logs[known])[0]))
        found.append((start + weights, level))
    weights, level = zip(*found)
    return np.array(weights), np.array(level)


def _packed(compact, constants, log_weights, level):
    forms, basis = _factored(compact.forms)
    return {
        "basis": basis,
        "courses": compact.courses.astype(np.float32),
        "forms": forms,
        "log_weights": log_weights.astype(np.float32),
        "level": level.astype(np.float32),
        "power": np.float32(constants.power),
    }


def _factored(forms):
    """Forms on an orthonormal basis of the few patterns of a grid that sites tell apart.

    Neighboring sites see nearly the same field: with some 70 patterns instead of hundreds of forms
    the largest product of a prediction is several times smaller.
    """
    rows = forms.reshape(-1, forms.shape[-1]).astype(np.float64)
    values, vectors = np.linalg.eigh(rows @ rows.T)
    keep = values > (FIT.basis_error**2) * max(values[-1], 1e-300)
    basis = vectors[:, keep].T @ rows / np.sqrt(values[keep])[:, np.newaxis]
    return (rows @ basis.T).reshape(*forms.shape[:2], -1).astype(np.float32), basis.astype(
        np.float32
    )


def physics_outputs(flat, physics):
    """Log thresholds and features of fields, for tensors.

    flat (n, 3 * size**3): Fields, 1 V/m at the center.
    physics (dict of tensor)
    Returns logs (n, n_outputs): Log threshold in V/m at the center.
    and features (n, n_sites): Drives relative to the largest.
    """
    forms, courses, weights = physics["forms"], physics["courses"], physics["log_weights"]
    rank, n_sites, _ = forms.shape
    patterns = flat @ physics["basis"].T
    amplitudes = (patterns @ forms.reshape(rank * n_sites, -1).T).reshape(-1, rank, n_sites)
    positive = torch.clamp(courses @ amplitudes, min=0)
    power = float(physics["power"])
    raised = positive.square() if power == 2 else positive**power
    drives = (raised.mean(dim=1) + 1e-30) ** (1 / power)
    top = drives.amax(dim=1, keepdim=True)
    relative = torch.log(torch.clamp(drives / top, min=FIT.floor))
    sharp = DRIVE.sharpness
    soft = torch.logsumexp(sharp * (relative[:, None] + weights), dim=2) / sharp
    weighted = torch.exp(relative + weights.mean(dim=0))
    features = weighted / weighted.amax(dim=1, keepdim=True)
    return physics["level"] - soft - torch.log(top), features


def as_tensors(physics):
    """The arrays of a fitted physics as tensors, in double precision."""
    return {name: torch.as_tensor(np.asarray(value, np.float64)) for name, value in physics.items()}


def apply_physics(physics, flat, batch=1024):
    """Log thresholds (n, n_outputs) and features (n, n_sites) as arrays, for arrays."""
    tensors, logs, features = as_tensors(physics), [], []
    with torch.inference_mode():
        for start in range(0, len(flat), batch):
            part = torch.as_tensor(np.ascontiguousarray(flat[start : start + batch], np.float64))
            log, feature = physics_outputs(part, tensors)
            logs.append(log.numpy())
            features.append(feature.numpy())
    return np.concatenate(logs), np.concatenate(features)


def fit_correction(features, residual, rng):
    """A Gaussian process of what physics leaves, as far as it helps on left-out samples.

    Squared-exponential kernel over relative drives; length scale and noise have the largest
    marginal likelihood on a grid. A process that does not lower the leave-one-out error (closed
    form: Rasmussen and Williams 2006, section 5.4.2) is not used.

    features (n, n_sites)
    residual (n, n_outputs): NaN where unknown.
    rng (RandomState): Draws the samples, where there are more than a thousand.
    Returns correction (dict of ndarray): ``at``, ``alpha``, ``gamma``; empty where it does not
        help.
    """
    known = np.flatnonzero(np.isfinite(residual).all(axis=1))
    if len(known) < 10:
        return {}
    if len(known) > FIT.most_corrected:
        known = np.sort(rng.permutation(known)[: FIT.most_corrected])
    at, target = features[known].astype(np.float64), residual[known]
    square = (at**2).sum(axis=1)
    distance = np.maximum(square[:, np.newaxis] + square - 2 * at @ at.T, 0)
    tried = (_evidence(distance, target, a, b) for a in FIT.lengths for b in FIT.noises)
    _, length, noise = max(tried, key=lambda found: found[0])
    kernel = np.exp(-distance / (2 * length**2)) + noise * np.eye(len(at))
    inverse = np.linalg.inv(kernel)
    alpha = inverse @ target
    left_out = alpha / np.diag(inverse)[:, np.newaxis]
    if np.abs(left_out).mean() > DRIVE.worth * np.abs(target).mean():
        return {}
    return {
        "at": at.astype(np.float32),
        "alpha": alpha.T.astype(np.float32),
        "gamma": np.float32(1 / (2 * length**2)),
    }


def cross_validated_errors(drive, grids, y, groups, seed):
    """Errors of the log threshold of physics and correction that did not see the sample.

    drive (SiteDrive)
    grids (n, 3 * size**3): Fields, 1 V/m at the center.
    y (n, n_outputs): Thresholds in V/m at the center, NaN where none is known.
    groups (n,) or None: Samples of one group are left out together.
    Returns errors (n, n_outputs): NaN where `y` is, and where what is left has no threshold of an
        output.
    """
    kind = KFold if groups is None or len(np.unique(groups)) < FIT.n_folds else GroupKFold
    folds = kind(max(2, min(FIT.n_folds, len(y))), shuffle=True, random_state=seed)
    errors = np.full(y.shape, np.nan)
    if len(y) < 2:
        return errors
    for fit, left in folds.split(grids, groups=groups):
        if np.isnan(y[fit]).all(axis=0).any():
            continue
        physics = fit_physics(drive, grids[fit], y[fit])
        logs, features = apply_physics(physics, grids)
        errors[left] = logs[left] - np.log(y[left])
        found = fit_correction(features[fit], np.log(y[fit]) - logs[fit], check_random_state(seed))
        if found:
            added = correction_outputs(torch.from_numpy(features[left]), as_tensors(found))
            errors[left] += added.numpy()
    return errors


def _evidence(distance, target, length, noise):
    """Log marginal likelihood with the best variance of the process, and what it is of."""
    kernel = np.exp(-distance / (2 * length**2)) + noise * np.eye(len(target))
    factor = np.linalg.cholesky(kernel)
    fitted = np.linalg.solve(factor, target)
    variance = max((fitted**2).mean(), 1e-30)
    n = len(target)
    return -0.5 * n * np.log(variance) - np.log(np.diag(factor)).sum(), length, noise


def correction_outputs(features, correction):
    """Addition of a correction to log thresholds, (n, n_outputs), for tensors."""
    at, gamma = correction["at"], correction["gamma"]
    square = (at**2).sum(dim=1)
    distance = (features**2).sum(dim=1, keepdim=True) + square - 2 * features @ at.T
    return torch.exp(-gamma * torch.clamp(distance, min=0)) @ correction["alpha"].T
