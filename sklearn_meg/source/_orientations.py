"""Currents as vectors, along the normal, or as amplitudes."""

import numpy as np


def size_of(sources):
    """Root mean square of the strongest position, 1 without any current."""
    power = np.square(sources).sum(axis=2).mean(axis=(0, 2))
    return float(np.sqrt(power.max())) or 1.0


def amplitude(sources):
    """Length of current vectors, or currents along fixed orientations."""
    if sources.shape[2] == 1:
        return sources[:, :, 0]
    return np.linalg.norm(sources, axis=2)


def picked(sources, pick_ori):
    """Vectors, what flows along the last axis, or amplitudes."""
    if pick_ori == "vector":
        return sources
    return sources[:, :, -1] if pick_ori == "normal" else amplitude(sources)


def check_pick_ori(estimator, pick_ori):
    """Raise ValueError unless sources have the orientations that are asked for."""
    if pick_ori not in (None, "vector", "normal"):
        raise ValueError(f"pick_ori must be None, 'vector' or 'normal'. Got {pick_ori!r}.")
    loose = estimator.orientation == "loose" and estimator.n_orient_ == 3
    normal = (
        loose or estimator.orientation == "fixed" or vars(estimator).get("pick_ori") == "normal"
    )
    if pick_ori == "normal" and not normal:
        raise ValueError(
            "pick_ori='normal' needs the normals of a surface: fit with orientation='loose' or "
            f"'fixed'. Got orientation={estimator.orientation!r}."
        )


def check_finite_sources(estimator, sources):
    """Raise ValueError if sources are not finite."""
    if not np.isfinite(sources).all():
        raise ValueError(
            f"{type(estimator).__name__} found sources that are not finite. Check that fields, "
            "lead field and noise covariance are in the same units."
        )
