"""Noise covariance of one trial, and the whitener that makes it the identity."""

import numpy as np

from .._checks.assumptions import warn_assumption

RANK_TOLERANCE = 1e-8  # of the largest eigenvalue, of the covariance with unit diagonal
FEWEST_SAMPLES = 10  # baseline samples, over all rows, from which noise is estimated


def check_noise_cov(cov, n_channels):
    """Check a noise covariance given as an array.

    Returns cov (n_channels, n_channels)
    Raises TypeError, ValueError for other types and shapes, values that are not finite, zero, not
        symmetric or with clearly negative eigenvalues.
    """
    cov = np.asarray(cov)
    if cov.dtype.kind not in "fiu":
        raise TypeError(
            "noise_cov must be None, an array of real numbers or an mne.Covariance. Got "
            f"dtype {cov.dtype}."
        )
    if cov.shape != (n_channels, n_channels):
        raise ValueError(
            f"noise_cov must have the shape ({n_channels}, {n_channels}) for the {n_channels} "
            f"channels of y. Got {cov.shape}."
        )
    cov = cov.astype(np.float64)
    if not np.isfinite(cov).all():
        raise ValueError("noise_cov must be finite. Got NaN or infinity.")
    if not np.diag(cov).any():
        raise ValueError("noise_cov must have a variance above 0. Got zeros on the diagonal.")
    if not np.allclose(cov, cov.T, rtol=1e-5, atol=1e-8 * np.abs(cov).max()):
        raise ValueError("noise_cov must be symmetric. Got a matrix that is not.")
    return (cov + cov.T) / 2


def whitener_of(cov):
    """Whitener of a covariance that may lack rank.

    The covariance is scaled to unit diagonal first, so that channels of different units are
    treated alike; eigenvalues below ``1e-8`` of the largest count as zero, and so does a channel
    without variance.

    cov (n_channels, n_channels)
    Returns whitener (rank, n_channels): ``whitener @ cov @ whitener.T`` is the identity.
    Raises ValueError for a negative variance or clearly negative eigenvalue.
    """
    variance = np.diag(cov)
    if (variance < 0).any():
        raise ValueError(f"noise_cov has negative variances, the least {variance.min():g}.")
    unit = np.where(variance > 0, 1 / np.sqrt(np.where(variance > 0, variance, 1.0)), 0.0)
    values, vectors = np.linalg.eigh(cov * unit * unit[:, np.newaxis])
    if values[0] < -1e-4 * values[-1]:  # rounding is far less, also in float32
        raise ValueError(
            "noise_cov must be positive semidefinite. Got an eigenvalue of "
            f"{values[0] / values[-1]:.3g} of the largest."
        )
    kept = values > RANK_TOLERANCE * values[-1]
    return (vectors[:, kept] / np.sqrt(values[kept])).T * unit


def estimate_noise_cov(fields, nave, baseline, kinds=None, shrunk_most=False):
    """Estimate the noise covariance of a single trial.

    From the samples before the first event change, where there are at least ten: each row minus
    its mean over them, times the square root of its number of trials; the covariance is shrunk
    towards its diagonal (Ledoit and Wolf, 2004, on unit variances; autocorrelation of the samples
    is not accounted for). Directions in which there is no variance at all stay without. Else
    the overall mean square of each kind of channel on the diagonal.

    fields (n_rows, n_channels, n_times), nave (n_rows,), baseline (slice or None)
    kinds (list of str or None): Kind of each channel; None: all of one kind.
    shrunk_most: Nothing but the diagonal, with a warning, of fewer samples than channels: those
        that come one after another tell the same, and no trials tell what they do not.
    Returns cov (n_channels, n_channels)
    and estimated: False for the overall variance.
    """
    kinds = np.zeros(fields.shape[1]) if kinds is None else np.asarray(kinds)
    samples = baseline_samples(fields, nave, baseline)
    if samples is None:
        power = np.mean(np.square(fields, dtype=np.float64), axis=(0, 2)) * nave.mean()
        return np.diag(_mean_by_kind(power, kinds)), False
    n_samples, n_free = samples.shape[1], samples.shape[1] - len(fields)
    variance = np.square(samples).sum(axis=1) / n_free
    flat = variance <= 1e-12 * variance.max()
    variance[flat] = np.mean(variance[~flat])  # a dead channel must not look noise-free
    scaled = (samples / np.sqrt(variance)[:, np.newaxis]).T * np.sqrt(n_samples / n_free)
    cov = _shrink(scaled, n_free)
    if shrunk_most and n_free < len(cov):
        warn_assumption(
            "noise-samples",
            f"The noise of {len(cov)} channels is estimated from {n_samples} samples before the "
            "onset, each channel for itself.",
        )
        cov = np.eye(len(cov))
    cov[flat, flat] = 1.0
    deviation = np.sqrt(variance)
    return cov * deviation * deviation[:, np.newaxis], True


def baseline_samples(fields, nave, baseline):
    """Centered baselines of single-trial size, (n_channels, n_samples); None if too few."""
    if baseline is None or baseline.stop < 2 or baseline.stop * len(fields) < FEWEST_SAMPLES:
        return None
    part = np.asarray(fields[:, :, baseline], dtype=np.float64)
    part = (part - part.mean(axis=2, keepdims=True)) * np.sqrt(nave)[:, np.newaxis, np.newaxis]
    samples = part.transpose(1, 0, 2).reshape(part.shape[1], -1)
    return samples if np.any(np.abs(samples) > 1e-9 * np.abs(fields).max()) else None


def _mean_by_kind(power, kinds):
    out = np.empty_like(power)
    for kind in np.unique(kinds):
        members = kinds == kind
        out[members] = power[members].mean()
    largest = out.max()
    return np.where(out > 0, out, largest)


def _shrink(samples, n_free):
    from sklearn.covariance import ledoit_wolf

    shrunk, _ = ledoit_wolf(samples, assume_centered=True)
    if n_free > samples.shape[1]:  # a direction without variance is a projection: keep it so
        values, vectors = np.linalg.eigh(samples.T @ samples / len(samples))
        kept = vectors[:, values > RANK_TOLERANCE * values[-1]]
        shrunk = kept @ (kept.T @ shrunk @ kept) @ kept.T
    return shrunk


def check_reference(info):
    """Raise if EEG has no average reference as a projection, which source models need.

    info (mne.Info): Info of the channels that are used; that of an mne.Forward, which knows no
        projections, where y came as an array without info.
    Raises ValueError if there is EEG without it, or with another reference.
    """
    from mne import pick_types

    if not len(pick_types(info, meg=False, eeg=True)):
        return
    averages = [p for p in info.get("projs") or [] if p["desc"].lower().startswith("average eeg")]
    if not averages:
        raise ValueError(
            "EEG needs an average reference as a projection: call set_eeg_reference('average', "
            "projection=True) on the data, and give info= with an array y. Got EEG channels "
            "without it."
        )


def projector_of(info, only_active=False):
    """Signal-space projector of an info, (n_channels, n_channels).

    only_active: Only the projections that have been applied to the data.
    """
    from mne.proj import make_projector

    projs = [proj for proj in info["projs"] if proj["active"] or not only_active]
    return make_projector(projs, info["ch_names"], info["bads"])[0]


def mne_covariance(noise_cov, info):
    """Check an mne.Covariance, or make one of an array, for the channels of info.

    Raises ValueError if channels are missing or bad in the covariance, or its values are zero or
        not finite.
    """
    import mne

    names = info["ch_names"]
    if not isinstance(noise_cov, mne.Covariance):
        cov = check_noise_cov(noise_cov, len(names))
        return mne.Covariance(cov, list(names), list(info["bads"]), [], nfree=1)
    missing = [name for name in names if name not in noise_cov.ch_names]
    if missing:
        raise ValueError(
            f"{len(missing)} channel(s) of the data are missing in noise_cov: "
            f"{', '.join(missing[:20])}."
        )
    bad = [name for name in names if name in noise_cov["bads"]]
    if bad:
        raise ValueError(
            f"{len(bad)} channel(s) of the data are marked bad in noise_cov: "
            f"{', '.join(bad[:20])}. Mark them as bad in the data, too, or compute it with them."
        )
    picked = mne.cov.pick_channels_cov(noise_cov, names, ordered=True, verbose="error")
    full = np.diag(picked.data) if picked["diag"] else picked.data
    check_noise_cov(full, len(names))
    return noise_cov


def mne_whitener(noise_cov, info):
    """Whitener that includes the projections of info, rank as mne finds it.

    Returns whitener (rank, n_channels)
    """
    import mne

    whitener, names = mne.cov.compute_whitener(
        noise_cov, info, pca=True, on_rank_mismatch="ignore", verbose="error"
    )
    if list(names) != list(info["ch_names"]):  # never with picks of good data channels
        raise RuntimeError("mne whitened other channels than those asked for.")
    return whitener @ projector_of(info)
