"""The classical solvers: they find sources, and behave like any scikit-learn estimator."""

import pickle
from functools import partial

import numpy as np
import pytest
import skops.io
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score

from sklearn_meg.source import LCMV, GammaMap, MinimumNorm, MixedNorm, RapMusic, make_events

SOLVERS = {
    "mne": partial(MinimumNorm, snr=5.0),
    "dspm": partial(MinimumNorm, method="dSPM", snr=5.0),
    "sloreta": partial(MinimumNorm, method="sLORETA", snr=5.0),
    "eloreta": partial(MinimumNorm, method="eLORETA", snr=5.0),
    "lcmv": LCMV,
    "mxne": partial(MixedNorm, alpha=50.0),
    "irmxne": partial(MixedNorm, alpha=50.0, n_mxne_iter=4),
    "gamma_map": partial(GammaMap, alpha=0.2, maxit=1000),
    "rap_music": RapMusic,
}
GRIDS = {
    MinimumNorm: {"snr": [1.0, 5.0]},
    LCMV: {"reg": [0.01, 0.1]},
    MixedNorm: {"alpha": [30.0, 90.0]},
    GammaMap: {"alpha": [0.03, 0.3], "maxit": [50]},
    RapMusic: {"n_dipoles": [1, 2]},
}


@pytest.fixture(scope="module", params=["free", "fixed"])
def world(request):
    """One source a condition: X, y, gain and where the sources are."""
    rng = np.random.default_rng(4)
    shape = (30, 12, 3) if request.param == "free" else (30, 12)
    gain = rng.normal(size=shape)
    labels = np.arange(40) % 2
    fields = np.zeros((2, 30, 50))
    where = [2, 9]
    for condition, position in enumerate(where):
        column = gain[:, position] if gain.ndim == 2 else gain[:, position] @ [0.6, 0.0, 0.8]
        fields[condition, :, 20:40] = column[:, np.newaxis] * np.hanning(20)
    y = fields[labels] + 0.7 * rng.normal(size=(40, 30, 50))
    return make_events(2, 50, 15)[labels], y, gain, where


@pytest.mark.parametrize("name", SOLVERS)
def test_the_source_of_each_condition_is_found(name, world):
    X, y, gain, where = world
    solver = SOLVERS[name](forward=gain).fit(X, y)
    found = np.abs(solver.transform())[:, :, 28:32].mean(axis=2).argmax(axis=1)
    np.testing.assert_array_equal(found, where)
    assert solver.sources_.shape == (2, 12, gain[0, 0].size, 50)
    assert solver.transform(X[:5]).shape == (5, 12, 50)
    assert solver.score(make_events(2, 50, 15), y[:2]) == pytest.approx(solver.score(X[:2], y[:2]))
    assert solver.score(X, y) > 0


@pytest.mark.parametrize("name", ["mxne", "irmxne", "rap_music"])
def test_sparse_solvers_are_sparse(name, world):
    X, y, gain, where = world
    solver = SOLVERS[name](forward=gain).fit(X, y)
    assert solver.support_[0, where[0]] and solver.support_[1, where[1]]
    assert solver.support_.sum() < 12
    np.testing.assert_array_equal(solver.sources_.any(axis=(2, 3)), solver.support_)


def test_currents_have_the_units_of_the_lead_field(world):
    X, y, gain, where = world
    for solver in (MixedNorm(alpha=50.0), RapMusic(), GammaMap(alpha=0.03, maxit=100)):
        small = clone(solver).set_params(forward=gain * 1e5).fit(X, y * 1e-13)
        amplitude = np.abs(small.transform())[[0, 1], where].max(axis=1)
        np.testing.assert_allclose(amplitude, 1e-18, rtol=0.35)


def test_penalties_that_leave_nothing():
    rng = np.random.default_rng(0)
    gain, y = rng.normal(size=(10, 8)), rng.normal(size=(1, 10, 30))
    solver = GammaMap(forward=gain, alpha=1e6, onset=10, maxit=50).fit(None, y)
    assert not solver.support_.any()
    assert not solver.predict().any()


@pytest.mark.parametrize("name", SOLVERS)
def test_pickles_and_two_fits_give_the_same(name, world):
    X, y, gain, _ = world
    solver = SOLVERS[name](forward=gain).fit(X, y)
    expected = solver.transform(X), solver.predict(X)
    dumped = skops.io.dumps(solver)
    types = skops.io.get_untrusted_types(data=dumped)
    assert types == [f"{type(solver).__module__}.{type(solver).__qualname__}"]
    for again in (
        pickle.loads(pickle.dumps(solver)),
        skops.io.loads(dumped, trusted=types),
        clone(solver).fit(X, y),
    ):
        np.testing.assert_array_equal(again.transform(X), expected[0])
        np.testing.assert_array_equal(again.predict(X), expected[1])
    again = clone(solver).fit(X.astype(np.float32), np.asfortranarray(y))
    largest = np.abs(expected[0]).max()  # mne rounds a fixed lead field to float32
    np.testing.assert_allclose(again.transform(X), expected[0], atol=1e-5 * largest)


@pytest.mark.parametrize("name", SOLVERS)
def test_grid_search_and_cross_validation(name, world):
    X, y, gain, _ = world
    solver = SOLVERS[name](forward=gain)
    search = GridSearchCV(solver, GRIDS[type(solver)], cv=3).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert np.isfinite(cross_val_score(solver, X, y.reshape(40, -1), cv=2, scoring="r2")).all()


def test_lcmv_sees_the_single_trials(world):
    X, y, gain, where = world
    trials = LCMV(forward=gain).fit(X, y)
    means = np.array([y[::2].mean(axis=0), y[1::2].mean(axis=0)])
    averages = LCMV(forward=gain, nave=20).fit(make_events(2, 50, 15), means)
    assert not np.allclose(trials.sources_, averages.sources_)


@pytest.mark.parametrize(
    "solver, message",
    [
        (MixedNorm(alpha="auto"), "'alpha' parameter"),
        (MixedNorm(alpha=100.0), "'alpha' parameter"),
        (MixedNorm(n_mxne_iter=0), "'n_mxne_iter' parameter"),
        (GammaMap(alpha=0.0), "'alpha' parameter"),
        (GammaMap(update_mode=3), "'update_mode' parameter"),
        (LCMV(reg=-1.0), "'reg' parameter"),
        (LCMV(weight_norm="unit"), "'weight_norm' parameter"),
        (RapMusic(n_dipoles=0), "'n_dipoles' parameter"),
        (RapMusic(n_dipoles=31), "at most the rank of the data, 30"),
    ],
)
def test_bad_parameters(solver, message, world):
    X, y, gain, _ = world
    with pytest.raises((ValueError, TypeError), match=message):
        solver.set_params(forward=gain).fit(X, y)
