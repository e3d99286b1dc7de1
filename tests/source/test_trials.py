"""Trials that are copies, that are few, or of which a few hold a source."""

import mne
import numpy as np
import pytest
from _worlds import sphere_forward

from sklearn_meg.exceptions import AssumptionWarning
from sklearn_meg.source import DipoleSearch, MinimumNorm

NOISE, EYES, PLACE = 2e-14, 52, 30


def noise(n_trials, seed=0):
    """Trials without a response, and what a solver is given."""
    info, forward = sphere_forward("volume")
    data = NOISE * np.random.default_rng(seed).standard_normal((n_trials, len(info["chs"]), 50))
    names = info["ch_names"]
    cov = mne.Covariance(NOISE**2 * np.eye(len(names)), names, [], [], nfree=1000)
    return data, {"forward": forward, "noise_cov": cov}


def epochs(data, given):
    info = sphere_forward("volume")[0]
    return mne.EpochsArray(data, info, tmin=-0.1, baseline=None, verbose="error")


def course(late=20):
    return np.exp(-np.square(np.arange(50) - 10 - late) / 2 / 4**2)


@pytest.mark.parametrize("n_trials", [4, 5])
def test_few_trials_of_noise_have_no_source(n_trials):
    for seed in range(4):
        data, given = noise(n_trials, seed)
        search = DipoleSearch(**given, random_state=0)
        with pytest.warns(AssumptionWarning, match="no source"):
            search.fit(epochs(data, given))


def test_copies_of_trials_are_no_more_trials():
    data, given = noise(8)
    data += 5e-8 * given["forward"]["sol"]["data"][:, [3 * PLACE]] * course()
    once = MinimumNorm(**given).fit(epochs(data, given))
    with pytest.warns(AssumptionWarning) as heard:
        copied = DipoleSearch(**given, random_state=0).fit(
            epochs(np.repeat(data, 3, axis=0), given)
        )
    assert "repeated-trials" in {each.message.code for each in heard}
    assert len(copied.support_) == 1 and len(copied.trial_weights_) == len(data)
    with pytest.warns(AssumptionWarning, match="occur more than once"):
        twice = MinimumNorm(**given).fit(epochs(np.concatenate([data, data[:4]]), given))
    weights = np.repeat([2.0, 1.0], 4)
    weighted = MinimumNorm(**given).fit(epochs(data, given), sample_weight=weights)
    np.testing.assert_allclose(twice.sources_, weighted.sources_)
    assert not np.allclose(1e9 * once.sources_, 1e9 * weighted.sources_)


def test_a_source_of_a_few_trials_is_told():
    data, given = noise(30)
    field = given["forward"]["sol"]["data"][:, 3 * EYES]
    usual = data + 3e-8 * np.outer(field, course())
    DipoleSearch(**given, random_state=0).fit(epochs(usual, given))  # says nothing
    data[::5] += 3e-7 * np.outer(field, course())
    with pytest.warns(AssumptionWarning) as heard:
        DipoleSearch(**given, random_state=0).fit(epochs(data, given))
    assert "few-trials" in {each.message.code for each in heard}
