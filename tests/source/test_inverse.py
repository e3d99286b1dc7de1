"""``transform`` of new data applies the operator that was fitted."""

import mne
import numpy as np
import pytest
from _worlds import simulate_evoked, sphere_forward
from mne.decoding import Vectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from sklearn_meg.source import LCMV, GammaMap, MinimumNorm, MixedNorm, RapMusic, RNNSourceSolver

FAST = {"max_epochs": 2, "random_state": 0}
SOLVERS = {
    "rnn": lambda **kw: RNNSourceSolver(**FAST, **kw),
    "mne": lambda **kw: MinimumNorm(**kw),
    "dspm": lambda **kw: MinimumNorm(method="dSPM", **kw),
    "lcmv": lambda **kw: LCMV(reduce_rank=True, **kw),
    "mxne": lambda **kw: MixedNorm(alpha=30.0, **kw),
    "gamma_map": lambda **kw: GammaMap(maxit=50, **kw),
    "rap_music": lambda **kw: RapMusic(n_dipoles=1, **kw),
}


def trials(n=12, n_classes=2, seed=0, kind="volume", amplitude=4e-8):
    """Epochs of two conditions with a dipole each, their forward and noise covariance."""
    info, forward = sphere_forward(kind)
    rng = np.random.default_rng(seed)
    data = 2e-14 * rng.standard_normal((n, len(info["ch_names"]), 40))
    labels = np.arange(n) % n_classes
    for row, label in enumerate(labels):
        data[row, :, 15:25] += amplitude * forward["sol"]["data"][:, [3 * (4 + 7 * label) + 1]]
    events = np.column_stack([10 * np.arange(n), np.zeros(n, int), labels + 1])
    names = {f"class {index}": index + 1 for index in range(n_classes)}
    epochs = mne.EpochsArray(data, info, events, tmin=-0.1, event_id=names, verbose="error")
    cov = mne.Covariance(4e-28 * np.eye(len(data[0])), info["ch_names"], [], [], nfree=1000)
    return epochs, labels, forward, cov


@pytest.mark.parametrize("name", SOLVERS)
def test_twice_the_data_are_twice_the_currents_one_row_a_trial(name):
    epochs, _, forward, cov = trials()
    solver = SOLVERS[name](forward=forward, noise_cov=cov).fit(epochs)
    twice = epochs.copy()
    twice._data *= 2
    sources = solver.transform(epochs, pick_ori="vector")
    assert sources.shape == (len(epochs), solver.n_positions_, 3, 40)
    assert np.abs(sources).max() > 0
    doubled = solver.transform(twice, pick_ori="vector")
    np.testing.assert_allclose(doubled, 2 * sources, rtol=1e-6, atol=1e-6 * np.abs(sources).max())
    # Each row is that of its own trial, and arrays and other windows do as well.
    part = epochs.get_data()[3:4, :, 5:30]
    np.testing.assert_allclose(
        solver.transform(part, pick_ori="vector")[0], sources[3, ..., 5:30], rtol=1e-9
    )


@pytest.mark.parametrize("method", ["MNE", "dSPM", "sLORETA", "eLORETA"])
def test_minimum_norm_of_new_data_is_that_of_mne(method):
    from mne.minimum_norm import apply_inverse, apply_inverse_epochs, make_inverse_operator

    epochs, _, forward, cov = trials()
    solver = MinimumNorm(forward=forward, noise_cov=cov, method=method).fit(epochs)
    operator = make_inverse_operator(
        epochs.info, forward, cov, loose=1.0, depth=0.8, verbose="error"
    )
    stcs = apply_inverse_epochs(epochs, operator, 1 / 9, method, verbose="error")
    ours = solver.transform(epochs)
    for row, stc in zip(ours, stcs):
        np.testing.assert_allclose(row, stc.data, rtol=1e-6, atol=1e-6 * stc.data.max())
    evoked = epochs.average()  # more than one trial
    stc = apply_inverse(evoked, operator, 1 / 9, method, verbose="error")
    np.testing.assert_allclose(
        solver.transform(evoked)[0], stc.data, rtol=1e-6, atol=1e-6 * stc.data.max()
    )
    np.testing.assert_allclose(solver.to_stc(epochs)[2].data, stcs[2].data, rtol=1e-6, atol=1e-20)


@pytest.mark.parametrize("weight_norm", [None, "unit-noise-gain-invariant"])
def test_beamformer_of_new_data_is_that_of_mne(weight_norm):
    from mne.beamformer import apply_lcmv_epochs, make_lcmv

    epochs, _, forward, cov = trials()
    solver = LCMV(forward=forward, noise_cov=cov, weight_norm=weight_norm, reduce_rank=True)
    solver.fit(epochs)
    active = mne.compute_covariance(epochs, tmin=0.0, verbose="error")
    filters = make_lcmv(
        epochs.info, forward, active, reg=0.05, noise_cov=cov, pick_ori="vector",
        weight_norm=weight_norm, reduce_rank=True, verbose="error",
    )  # fmt: skip
    stcs = apply_lcmv_epochs(epochs, filters, verbose="error")
    sources = solver.transform(epochs, pick_ori="vector")
    largest = np.abs(stcs[0].data).max()
    for row, stc in zip(sources, stcs):
        np.testing.assert_allclose(row, stc.data, rtol=1e-5, atol=1e-5 * largest)


@pytest.mark.parametrize("name", ["rnn", "mne", "lcmv"])
def test_single_trials_are_decoded_in_source_space(name):
    epochs, labels, forward, cov = trials(n=24, amplitude=2e-8)
    solver = SOLVERS[name](forward=forward, noise_cov=cov, onset=10, info=epochs.info)
    pipeline = make_pipeline(solver, Vectorizer(), LogisticRegression())
    scores = cross_val_score(pipeline, epochs.get_data(), labels, cv=3)
    assert scores.min() > 0.9


def test_the_training_data_come_back_row_by_row():
    epochs, labels, forward, cov = trials()
    solver = MinimumNorm(forward=forward, noise_cov=cov, onset=10, info=epochs.info)
    fields = epochs.get_data()
    courses = solver.fit_transform(fields, labels)
    assert courses.shape == (12, solver.n_positions_, 40)
    assert 0.1 < np.abs(courses).max() < 100  # in units of the strongest source
    assert solver.condition_names_ == ["0", "1"]
    assert solver.n_features_in_ == len(epochs.ch_names)
    np.testing.assert_allclose(solver.fit_transform(epochs), solver.transform(fields), rtol=1e-6)
    # A row of fields and one condition a label: the averages are those of the labels.
    events = solver.events_
    assert solver.transform(events).shape == (2, solver.n_positions_, 40)


def test_an_average_of_more_trials_is_trusted_more():
    evokeds, forward, cov = simulate_evoked()
    solver = SOLVERS["rnn"](forward=forward, noise_cov=cov).fit(evokeds)
    single = [evoked.copy() for evoked in evokeds]
    for evoked in single:
        evoked.nave = 1
    many, one = solver.transform(evokeds), solver.transform(single)
    assert np.abs(one).max() < np.abs(many).max()


def test_data_that_lack_a_channel_or_are_not_finite_are_refused():
    epochs, labels, forward, cov = trials()
    solver = MinimumNorm(forward=forward, noise_cov=cov).fit(epochs)
    with pytest.raises(ValueError, match="lacks 1 fitted channel"):
        solver.transform(epochs.copy().drop_channels(epochs.ch_names[:1]))
    broken = epochs.get_data()
    broken[2, 3, 4] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        solver.transform(broken)
    with pytest.raises(ValueError, match="features"):
        solver.transform(epochs.get_data()[:, :7])
    with pytest.raises(ValueError, match="one label for each of the 12 rows"):
        MinimumNorm(forward=forward, noise_cov=cov).fit(epochs, labels[:5])


def test_a_channel_that_was_not_fitted_may_be_missing_or_bad():
    epochs, _, forward, cov = trials()
    y = epochs.average().data[None].copy()
    y[:, 2] = np.nan
    solver = MinimumNorm(forward=forward, noise_cov=cov.data, onset=10, nave=12).fit(None, y)
    again = solver.transform(y)
    np.testing.assert_allclose(again[0], solver.transform()[0], rtol=1e-9)
