"""Rhythms: dipoles from cross-spectral densities, ours and DICS.

Places, head and sensors are those of `worlds`: sources between the points of the grid, 400 windows
of a brain that does not rest (80 trials, five tapers), and as many of a baseline. In
``rhythm_louder`` all noise has 1.3 times the power of the baseline. DICS is told the number of
sources: they are the strongest local maxima of its map of power over that of the baseline.
"""

import warnings
from time import process_time

import mne
import numpy as np
from scipy.spatial.distance import cdist

from sklearn_meg.datasets import simulated_forward, simulated_info
from sklearn_meg.source import find_oscillations

from ..report import check, row, values
from .violated import FALSE, _place_error
from .worlds import _choose, _way, brain_noise, pool

CASES = {
    "rhythm_3dip": {"n": 3},
    "rhythm_2corr": {"n": 2, "correlation": 0.9},
    "rhythm_louder": {"n": 2, "louder": 1.3},
    "rhythm_noise": {"n": 0},
}
N_WINDOWS, FREQUENCY = 400, 10.0
RATIO = 6.0  # field power of a source, whitened, over that of the noise
FIRST_SEED = 12_000
NEAR = 0.0151  # m: neighbors on the grid


def densities(seed, n=0, correlation=0.0, louder=1.0):
    """Densities of rhythm and baseline, and the places of the sources."""
    rng = np.random.RandomState(seed)
    places, gain = pool()["places"], pool()["exact"]
    chosen = _choose(rng, places, n, 0.04)
    info = simulated_info(300.0)
    mixing = brain_noise(rng, info)[0]
    white = np.where(np.array(info.get_channel_types()) == "mag", 3.5e-14, 3.5e-12)
    covariance = mixing @ mixing.T + np.diag(white**2)
    fields = np.array([gain[:, index] @ _way(rng, gain[:, index]) for index in chosen])
    fields = fields.reshape(n, len(white)).T
    fields = fields / np.sqrt(np.einsum("ck,cd,dk->k", fields, np.linalg.inv(covariance), fields))
    found = []
    for active in (True, False):
        noise = _draw(rng, mixing.shape[1]) @ mixing.T + _draw(rng, len(white)) * white
        courses = np.sqrt(1 - correlation) * _draw(rng, n)
        courses = courses + np.sqrt(correlation) * _draw(rng, 1)
        windows = np.sqrt(louder if active else 1.0) * noise
        windows = windows + active * RATIO * courses @ fields.T
        found.append(_density(windows, info))
    return *found, places[chosen].reshape(-1, 3)


def _draw(rng, n):
    return (rng.standard_normal((N_WINDOWS, n, 2)) @ [1, 1j]) / np.sqrt(2)


def _density(windows, info):
    data = windows.T @ windows.conj() / len(windows)
    names = list(info["ch_names"])
    return mne.time_frequency.CrossSpectralDensity(
        data[np.triu_indices(len(names))], names, FREQUENCY, n_fft=300
    )


def rhythm_rows(case, seed):
    """Distance of sources to dipoles in mm, number of sources and of false ones, seconds."""
    csd, noise, truth = densities(FIRST_SEED + 50 * list(CASES).index(case) + seed, **CASES[case])
    forward, start = simulated_forward(10.0), process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = find_oscillations(csd, noise, forward, N_WINDOWS, random_state=seed).positions
    rows = _rows(case, "default", seed, truth, ours, process_time() - start)
    if len(truth):
        start = process_time()
        peaks = dics_peaks(csd, noise, forward, len(truth))
        rows += _rows(case, "dics", seed, truth, peaks, process_time() - start)
    return rows


def dics_peaks(csd, noise, forward, n):
    """Strongest local maxima of power over that of the baseline."""
    filters = mne.beamformer.make_dics(
        simulated_info(300.0), forward, csd, reg=0.05, noise_csd=noise, pick_ori="max-power",
        weight_norm="unit-noise-gain", depth=None, real_filter=True, verbose="error",
    )  # fmt: skip
    active, before = (
        mne.beamformer.apply_dics_csd(each, filters, verbose="error")[0].data[:, 0]
        for each in (csd, noise)
    )
    power, where = active / before, forward["source_rr"]
    near = cdist(where, where) < NEAR
    peaks = [index for index in np.argsort(-power) if power[index] >= power[near[index]].max()]
    return where[peaks[:n]]


def _rows(case, name, seed, truth, places, seconds):
    away = 1e3 * cdist(truth, places)
    false = (away.min(axis=0) > FALSE).sum() if away.size else len(places)
    found = {"n_sources": len(places), "false_sources": int(false), "fit_s": seconds}
    if len(truth):
        found["place_mm"] = _place_error(away)
    return [row(case, name, metric, seed, value) for metric, value in found.items()]


def checks(rows):
    """Places at least as near as those of DICS told n; no source in noise."""
    result = []
    for case in CASES:
        false = values(rows, case, "default", "false_sources")
        if not len(false):
            continue
        result.append(check(f"{case}: data sets with a false source", (false > 0).mean(), "<= 0.1"))
        if CASES[case]["n"]:
            ours, dics = (
                values(rows, case, name, "place_mm").mean() for name in ("default", "dics")
            )
            result.append(check(f"{case}: place - DICS told n, mm", ours - dics, "<= 0"))
    return result
