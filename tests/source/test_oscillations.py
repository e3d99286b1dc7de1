"""Sources of rhythms, from cross-spectral densities."""

import numpy as np
import pytest
from _worlds import CENTER, sphere_forward
from mne.time_frequency import CrossSpectralDensity

from sklearn_meg.exceptions import AssumptionWarning
from sklearn_meg.source import find_oscillations

N_WINDOWS, PLACES = 120, (9, 52)
STRENGTH = 4.0  # of a source, in units of the noise of a channel


def density(rng, fields=(), correlation=0.0, frequencies=10.0):
    """Density of windows of noise and of sources that correlate."""
    info, _ = sphere_forward()
    names = info["ch_names"]

    def draw(*shape):
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)

    windows, common = draw(N_WINDOWS, len(names)), draw(N_WINDOWS)
    for field in fields:
        course = np.sqrt(1 - correlation) * draw(N_WINDOWS) + np.sqrt(correlation) * common
        windows += np.outer(course, STRENGTH * field / np.abs(field).max())
    data = 1e-28 * windows.T @ windows.conj() / N_WINDOWS
    upper = data[np.triu_indices(len(names))]
    if np.ndim(frequencies):
        upper = np.repeat(upper[:, None], len(frequencies), axis=1)
    return CrossSpectralDensity(upper, list(names), frequencies, n_fft=64)


def fields_of(places):
    """Fields of tangential dipoles."""
    forward = sphere_forward()[1]
    gain = forward["sol"]["data"].reshape(40, -1, 3)
    ways = np.cross(forward["source_rr"][list(places)] - CENTER, [0.3, 0.5, 0.8])
    return [gain[:, place] @ way for place, way in zip(places, ways)]


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_two_sources_are_found_where_they_are(correlation):
    rng, forward = np.random.default_rng(0), sphere_forward()[1]
    csd = density(rng, fields_of(PLACES), correlation)
    found = find_oscillations(csd, density(rng), forward, N_WINDOWS, random_state=0)
    truth = forward["source_rr"][list(PLACES)]
    away = np.linalg.norm(found.positions[:, None] - truth, axis=2)
    assert sorted(away.argmin(axis=1)) == [0, 1] and away.min(axis=1).max() < 0.012
    assert (found.evidence > 1).all() and (found.ratio > 5).all() and (found.power > 0).all()
    again = find_oscillations(csd, density(rng), forward, N_WINDOWS, random_state=0, n_sources=1)
    assert len(again.positions) == 1
    np.testing.assert_allclose(np.linalg.norm(found.orientations, axis=1), 1)


def test_power_is_that_of_the_current():
    rng, forward = np.random.default_rng(1), sphere_forward()[1]
    (field,) = fields_of(PLACES[:1])
    csd = density(rng, [field])
    found = find_oscillations(csd, density(rng), forward, N_WINDOWS, random_state=0)
    way = np.cross(forward["source_rr"][PLACES[0]] - CENTER, [0.3, 0.5, 0.8])
    current = STRENGTH * 1e-14 * np.linalg.norm(way) / np.abs(field).max()
    assert found.power[0] == pytest.approx(current**2, rel=0.3)


def test_a_baseline_has_no_source():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        with pytest.warns(AssumptionWarning, match="beyond the baseline"):
            found = find_oscillations(
                density(rng), density(rng), sphere_forward()[1], N_WINDOWS, random_state=0
            )
        assert found.positions.shape == found.orientations.shape == (0, 3)
        assert found.power.shape == found.ratio.shape == found.evidence.shape == (0,)


def test_bad_input():
    rng, forward = np.random.default_rng(0), sphere_forward()[1]
    csd, noise = density(rng, fields_of(PLACES)), density(rng)
    with pytest.raises(TypeError, match="csd must be a CrossSpectralDensity"):
        find_oscillations(csd.get_data(), noise, forward, N_WINDOWS)
    with pytest.raises(ValueError, match="noise_csd must be of one frequency"):
        find_oscillations(csd, density(rng, frequencies=[8.0, 9.0]), forward, N_WINDOWS)
    with pytest.raises(TypeError, match=r"forward must be an mne.Forward"):
        find_oscillations(csd, noise, forward["sol"]["data"], N_WINDOWS)
    with pytest.raises(ValueError, match="n_windows must be an int"):
        find_oscillations(csd, noise, forward, 1)
    other = noise.copy()
    other.ch_names[0] = "another"
    with pytest.raises(ValueError, match="same channels"):
        find_oscillations(csd, other, forward, N_WINDOWS)
