"""Averages of a real recording, where a developer has them."""

import warnings

import mne
import numpy as np
import pytest

from sklearn_meg.source import DipoleSearch

N100M = {
    "Left Auditory": ((-50, -22, 28), (44, -20, 36)),
    "Right Auditory": ((-55, -15, 26), (50, -15, 35)),
}
LATENCY = (80, 115)  # ms
NEAR = 22  # mm


@pytest.fixture(scope="module")
def folder(real_data):
    return real_data / "meg_auditory"


@pytest.fixture(scope="module")
def forward(folder):
    return mne.read_forward_solution(folder / "sample-vol10-meg-fwd.fif", verbose="error")


def found(folder, forward, names, tmax):
    evokeds = []
    for name in names:
        evoked = mne.read_evokeds(folder / "test-ave.fif.gz", name, verbose="error").pick("meg")
        evokeds.append(
            evoked.apply_baseline((None, 0), verbose="error")
            .crop(None, tmax)
            .decimate(2, verbose="error")
        )
        evoked.comment = name
    noise_cov = mne.read_cov(folder / "test-cov.fif", verbose="error")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search = DipoleSearch(forward=forward, noise_cov=noise_cov, random_state=0).fit(evokeds)
    to_mri = np.linalg.inv(forward["mri_head_t"]["trans"])
    return 1e3 * (search.dipole_positions_ @ to_mri[:3, :3].T + to_mri[:3, 3]), search.to_dipoles()


@pytest.mark.parametrize("name", N100M)
def test_one_average_alone_has_both_auditory_cortices(folder, forward, name):
    places, (dipoles,) = found(folder, forward, [name], 0.25)
    assert len(places) == 2
    for place, dipole in zip(
        sorted(places.tolist()), (dipoles[k] for k in np.argsort(places[:, 0]))
    ):
        side = 0 if place[0] < 0 else 1
        assert np.linalg.norm(np.array(place) - N100M[name][side]) < NEAR
        assert LATENCY[0] <= 1e3 * dipole.times[np.abs(dipole.amplitude).argmax()] <= LATENCY[1]


def test_visual_conditions_together_keep_both_calcarines(folder, forward):
    places, (left, right) = found(folder, forward, ["Left visual", "Right visual"], 0.3)
    behind = [index for index, (x, y, _) in enumerate(places) if y < -60 and abs(x) < 30]
    sides = {places[index][0] > 0: index for index in behind}
    assert set(sides) == {False, True}
    # The stronger one is contralateral.
    peak = [
        [np.abs(each[sides[side]].amplitude).max() for side in (False, True)]
        for each in (left, right)
    ]
    assert peak[0][1] > peak[0][0] and peak[1][0] > peak[1][1]
