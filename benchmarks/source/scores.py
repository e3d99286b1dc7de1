"""What the benchmark of the source estimators measures of one estimate."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from sklearn_meg.source.metrics import (
    earth_movers_distance,
    hit_rate,
    localization_error,
    nmse,
    output_snr,
    spatial_dispersion,
    time_course_correlation,
)
from sklearn_meg.source.metrics.peaks import MISS

from ..report import row

LARGEST_DB = 100.0  # an output SNR beyond it, infinite too, says nothing more


@dataclass(frozen=True)
class Estimate:
    """What a solver made of one data set.

    sources (n_positions, 3, n_times): Map that the method is read by: A m, or without unit.
    fields (n_channels, n_times): Predicted fields.
    seconds: Processor time of the fit.
    setting: Of a peer: which value of its grid.
    """

    sources: np.ndarray
    fields: np.ndarray
    seconds: float
    setting: str = ""


def scores(case, model, seed, data, estimate):
    """Rows of one estimate.

    data (EvokedData)
    Returns rows (list of dict): All but ``nmse``, ``osnr_db`` and ``fit_s`` look at the samples in
        which the sources are active. ``nmse`` is that of the whitened fields without noise, from
        the onset on: before it a model that is driven by an event is right by construction. An
        estimate that is zero everywhere is 100 mm off by any measure.
    """
    where, on = data.forward["source_rr"], data.active
    after = slice(data.onset, None)
    truth, sources = data.positions, estimate.sources
    found = {
        "dle_mm": localization_error(where, sources, truth, on),
        "hit20": hit_rate(where, sources, truth, on),
        "sd_mm": finite(spatial_dispersion(where, sources, data.source_positions, on), MISS),
        "emd_mm": energy_moved(data, sources),
        "nmse": nmse(data.clean[:, after], estimate.fields[:, after], whitener_of(data)),
        "tcorr": time_course_correlation(where, sources, truth, data.source_time_courses, on),
        "osnr_db": np.clip(finite(output_snr(sources, data.onset), 0.0), -LARGEST_DB, LARGEST_DB),
        "fit_s": estimate.seconds,
    }
    rows = [row(case, model, metric, seed, value) for metric, value in found.items()]
    if estimate.setting:  # of all of them
        rows[0]["setting"] = estimate.setting
    return rows


def ceiling_rows(case, seed, forward, positions):
    """Row of the grid points nearest to the sources: no map on that grid is closer."""
    away = 1e3 * cdist(positions, forward["source_rr"]).min(axis=1)
    return [row(case, "ceiling", "dle_mm", seed, away.mean())] if len(away) else []


def error_of(data, estimate):
    """Localization error in mm: what the oracle chooses by."""
    return localization_error(
        data.forward["source_rr"], estimate.sources, data.positions, data.active
    )


def energy_moved(data, sources):
    """Earth mover's distance in mm to all positions with current; 100 for an empty map."""
    where, true_map = data.forward["source_rr"], data.source_map()
    distance = earth_movers_distance(where, sources, data.source_positions, true_map, data.active)
    return finite(distance, MISS)


def whitener_of(data):
    """Whitener of the true noise (n_channels, n_channels); its scale cancels in a ratio."""
    scale = np.sqrt(np.diag(data.true_noise_cov))
    factor = np.linalg.cholesky(data.true_noise_cov / np.outer(scale, scale))
    return np.linalg.inv(factor) / scale


def finite(value, otherwise):
    """Give the value, or another one for NaN (a map that is zero everywhere)."""
    return otherwise if np.isnan(value) else value
