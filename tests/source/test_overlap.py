"""Events whose responses overlap: what one makes alone is predicted."""

from types import SimpleNamespace

import numpy as np
import pytest

from sklearn_meg.source import DipoleSearch, RNNSourceSolver
from sklearn_meg.source._evidence import cosines
from sklearn_meg.source._overlap import responses_of, single_events, sums_of, sums_of_events

ONSET, N_TIMES, N_TRIALS = 5, 60, 12


def steps(interval=None, only=None):
    events = np.zeros((2, N_TIMES))
    for event, at in ((0, 0), (1, interval)) if only is None else ((only, 0),):
        events[event, ONSET + at :] = 1.0
    return events


def test_a_single_event_is_predicted_from_pairs_at_several_intervals():
    rng = np.random.default_rng(0)
    gain = rng.normal(size=(20, 30))
    kernels = np.zeros((2, N_TIMES))
    kernels[0, 5:25] = np.hanning(20)
    kernels[1, 3:19] = -np.hanning(16)
    X, y = [], []
    for interval in (10, 13, 16, 19, 22, 25):
        course = np.zeros(N_TIMES)
        for kernel, at in zip(kernels, (ONSET, ONSET + interval)):
            course[at:] += kernel[: N_TIMES - at]
        for _ in range(N_TRIALS):
            X.append(steps(interval))
            y.append(np.outer(gain[:, 7], course) + 1.0 * rng.normal(size=(20, N_TIMES)))
    solver = RNNSourceSolver(forward=gain, random_state=0).fit(np.array(X), np.array(y))
    assert solver.support_.tolist() == [7]
    for event, kernel in enumerate(kernels):
        alone = np.zeros(N_TIMES)
        alone[ONSET:] = kernel[: N_TIMES - ONSET]
        found = solver.transform(steps(only=event)[None])[0, 7]
        assert np.square(found - alone).sum() < 0.1 * np.square(alone).sum()


def test_single_responses_are_those_whose_sums_were_seen():
    rng = np.random.default_rng(0)
    n_times, onset, n_lags = 60, 10, 50
    truth = np.array([np.exp(-np.square((np.arange(n_lags) - at) / 4) / 2) for at in (12, 18)])
    events = np.zeros((7, 2, n_times))
    for row, interval in enumerate(range(4, 25, 3)):
        events[row, 0, onset:] = events[row, 1, onset + interval :] = 1.0
    basis = cosines(n_times, onset)
    level = 0.3 * np.ones((7, n_lags))
    evidence = SimpleNamespace(basis=basis, deviation=level)
    clean = sums_of(events, truth[:, None])[:, 0] @ basis / level
    noise = [rng.standard_normal((1, clean.size)) for _ in range(30)]
    amplitudes = clean.reshape(1, -1) + rng.standard_normal((1, clean.size))
    found = responses_of(events, amplitudes, noise, evidence, np.ones(7))
    assert found.shape == (2, 1, n_lags)
    assert np.square(found[:, 0] - truth).sum() < 0.1 * np.square(truth).sum()
    # Two conditions of two events do not tell; noise is no sum.
    assert responses_of(events[:2], amplitudes[:, :100], noise, evidence, np.ones(2)) is None
    assert responses_of(events, 20 * noise[0], noise, evidence, np.ones(7)) is None
    assert single_events(events).sum(axis=2).tolist() == [[n_lags, 0], [0, n_lags]]


def test_sums_of_events_hold_responses_and_little_of_the_noise():
    rng = np.random.default_rng(0)
    n_times, onset = 60, 10
    events = np.zeros((7, 2, n_times))
    for row, interval in enumerate(range(4, 25, 3)):
        events[row, 0, onset:] = events[row, 1, onset + interval :] = 1.0
    basis = cosines(n_times, onset)
    weight = np.tile(np.arange(50) < 25, 7).astype(float)
    evidence = SimpleNamespace(basis=basis, deviation=np.ones((7, 50)), weight=weight)
    sums = sums_of_events(events, evidence, np.ones(7))
    np.testing.assert_allclose(sums.T @ sums, np.eye(sums.shape[1]), atol=1e-9)
    kernel = np.exp(-np.square((np.arange(50) - 15) / 5) / 2)
    response = (sums_of(events, np.array([[kernel], [-kernel]]))[:, 0] @ basis).ravel()[weight > 0]
    noise = rng.standard_normal((200, len(response)))
    assert np.square(response @ sums).sum() > 0.9 * np.square(response).sum()
    assert np.square(noise @ sums).sum() < 0.45 * np.square(noise).sum()
    assert sums_of_events(events[:4], evidence, np.ones(4)) is None  # too few conditions to tell


def weak_world(rng):
    gain, X, y = rng.normal(size=(20, 30)), [], []
    kernel = np.zeros(N_TIMES)
    kernel[3:21] = np.hanning(18)
    for interval in (10, 12, 14, 16, 18, 20, 22):
        course = np.zeros(N_TIMES)
        for at in (ONSET, ONSET + interval):
            course[at:] += kernel[: N_TIMES - at]
        for _ in range(N_TRIALS):
            X.append(steps(interval))
            y.append(0.08 * np.outer(gain[:, 7], course) + rng.normal(size=(20, N_TIMES)))
    return gain, np.array(X), np.array(y)


def test_weak_sources_have_more_evidence_in_sums_of_responses():
    gain, X, y = weak_world(np.random.default_rng(0))
    search = DipoleSearch(forward=gain, random_state=0).fit(X, y)
    unlike = np.zeros((len(X), 7, N_TIMES))  # as if each interval were an event of its own
    unlike[np.arange(len(X)), np.arange(len(X)) // N_TRIALS, ONSET:] = 1.0
    apart = DipoleSearch(forward=gain, random_state=0).fit(unlike, y)
    assert search.support_.tolist() == apart.support_.tolist() == [7]
    assert search.evidence_[0] > 1.5 * apart.evidence_[0]


@pytest.mark.filterwarnings("ignore::sklearn_meg.exceptions.AssumptionWarning")
def test_noise_of_few_channels_and_many_conditions_has_no_source():
    found = 0
    for seed in range(104, 110):
        rng = np.random.default_rng(seed)
        gain, y = rng.normal(size=(20, 60)), rng.normal(size=(84, 20, 60))
        X = np.zeros((84, 7, 60))
        X[np.arange(84), np.arange(84) // 12, 15:] = 1.0
        found += len(DipoleSearch(forward=gain, random_state=0).fit(X, y).support_) > 0
    assert found == 0
