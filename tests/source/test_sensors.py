"""Sensors that are not where they were said to be."""

import warnings
from functools import lru_cache

import mne
import numpy as np
import pytest
from _worlds import CENTER

from sklearn_meg.datasets import make_head
from sklearn_meg.exceptions import AssumptionWarning
from sklearn_meg.source import DipoleSearch

WAYS = np.array([[0.0, 0.6, 0.8], [0.8, 0.0, 0.6], [0.6, 0.8, 0.0]])


@lru_cache(maxsize=4)
def moved_forward(*shift, longer=0.0):
    """Forward of a grid in a sphere, of sensors that are shifted, or around a longer head."""
    info = make_head(n_channels=150).info_at(100.0)
    trans = info["dev_head_t"]["trans"].copy()
    for channel in info["chs"]:
        away = channel["loc"][1] + trans[1, 3] - CENTER[1]
        channel["loc"][1] -= away * longer / (1 + longer)
    trans[:3, 3] += shift
    info["dev_head_t"] = mne.transforms.Transform("meg", "head", trans)
    sphere = mne.make_sphere_model(CENTER, 0.09, verbose="error")
    src = mne.setup_volume_source_space(
        None, pos=20.0, sphere=(*CENTER, 0.07), sphere_units="m", exclude=20.0, verbose="error"
    )
    return mne.make_forward_solution(info, None, src, sphere, eeg=False, verbose="error")


def fitted(shift, longer=0.0, **params):
    """Search for three dipoles of sensors that are shifted, and where the dipoles are."""
    forward = moved_forward(0.0, 0.0, 0.0, longer=0.0)
    truth = moved_forward(*shift, longer=longer)
    where, rng = forward["source_rr"], np.random.default_rng(0)
    wanted = CENTER + [[0.055, 0.0, 0.02], [-0.05, 0.03, 0.02], [0.0, -0.04, 0.04]]
    places = [int(np.linalg.norm(where - each, axis=1).argmin()) for each in wanted]
    gain = truth["sol"]["data"].reshape(150, -1, 3)[:, places]
    trials = 1e-13 * rng.standard_normal((20, 150, 50))
    for source, way in enumerate(WAYS):
        at = slice(15 + 10 * source, 30 + 10 * source)
        trials[..., at] += 3e-7 * (gain[:, source] @ way)[:, None] * np.hanning(15)
    names = list(truth["info"]["ch_names"])
    info = mne.create_info(names, 100.0, "mag")
    epochs = mne.EpochsArray(trials, info, tmin=-0.15, verbose="error")
    noise = mne.Covariance(1e-26 * np.eye(150), names, [], [], nfree=10_000)
    search = DipoleSearch(forward=forward, noise_cov=noise, random_state=0, **params)
    return search.fit(epochs), where[places]


def miss(search, truth):
    away = np.linalg.norm(search.dipole_positions_[:, None] - truth, axis=2)
    return away.min(axis=0).mean()


def test_sensors_that_are_off_are_found_and_dipoles_are_of_sensors_there():
    shift = 0.004, -0.002, 0.002
    with pytest.warns(AssumptionWarning, match="sensors_moved_"):
        search, truth = fitted(shift)
    stays, _ = fitted(shift, coregistration_error=0.0)
    assert len(search.support_) == 3
    assert np.linalg.norm(search.sensors_moved_[:3] - shift) < 0.6 * np.linalg.norm(shift)
    assert not stays.sensors_moved_.any()
    assert miss(search, truth) < 0.7 * miss(stays, truth)
    again = search.transform(search.predict())
    assert np.linalg.norm(again - search.transform()) < 0.1 * np.linalg.norm(again)


def test_sensors_that_are_where_they_are_said_to_be_stay():
    search, truth = fitted((0.0, 0.0, 0.0))
    assert not search.sensors_moved_.any()
    assert miss(search, truth) < 0.002


def test_sensors_around_a_shorter_head_stay():
    search, _ = fitted((0.0, 0.0, 0.0), longer=-0.05)
    assert not search.sensors_moved_.any()


def test_sensors_too_far_to_be_believed_are_told():
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", AssumptionWarning)
        search, _ = fitted((0.0, 0.02, 0.0))
    assert "lead-field" in {each.message.code for each in said}
    assert not search.sensors_moved_.any()
