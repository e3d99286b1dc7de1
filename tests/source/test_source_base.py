"""What every source estimator does with trials, averages, noise and lead fields."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, KFold, cross_validate

from sklearn_meg.source import MinimumNorm, cross_val_channels, make_events
from sklearn_meg.source._base import SourceEstimator
from sklearn_meg.source._whitening import estimate_noise_cov, whitener_of


class Recorder(SourceEstimator):
    """Keeps the problem it is given; no sources."""

    def _solve(self, problem):
        self.problem_ = problem
        return np.zeros((len(problem.data), problem.n_positions, problem.n_orient, 60))


@pytest.fixture(scope="module")
def trials():
    """X, y, gain, true sources, noise: two conditions of 30 and 20 trials, free orientations."""
    rng = np.random.default_rng(0)
    gain = rng.normal(size=(20, 15, 3))
    sources = np.zeros((2, 15, 3, 60))
    sources[0, 3, 1, 30:45] = 1.0
    sources[1, 8, 2, 25:50] = 1.0
    mixing = np.eye(20) + 0.15 * rng.normal(size=(20, 20))
    labels = np.r_[np.zeros(30, int), np.ones(20, int)]
    fields = gain.reshape(20, -1) @ sources.reshape(2, 45, 60)
    y = fields[labels] + mixing @ rng.normal(size=(50, 20, 60))
    return make_events(2, 60, 20)[labels], y, gain, sources, mixing @ mixing.T


def test_whitened_noise_has_unit_variance(trials):
    X, y, gain, _, cov = trials
    for noise_cov in (cov, None):
        problem = Recorder(forward=gain, noise_cov=noise_cov).fit(X, y).problem_
        assert problem.data.shape == (2, 20, 60)
        assert problem.baseline == slice(0, 20)
        np.testing.assert_array_equal(problem.nave, [30, 20])
        assert problem.data[..., :20].var() == pytest.approx(1, abs=0.15)
        assert problem.half_difference.var() == pytest.approx(1, abs=0.1)
        signal = problem.trials_cov - np.eye(20)
        strongest = np.linalg.eigh(signal)[1][:, -2:]  # the two sources, seen in single trials
        expected = problem.gain.reshape(20, 15, 3)[:, [3, 8], [1, 2]]
        expected = np.linalg.qr(expected)[0]
        assert np.linalg.svd(expected.T @ strongest)[1].min() > 0.8


def test_averages_need_nave_to_be_the_same_as_trials(trials):
    X, y, gain, _, cov = trials
    whole = MinimumNorm(forward=gain, noise_cov=cov).fit(X[:30], y[:30])
    mean = y[:30].mean(axis=0, keepdims=True)
    averaged = MinimumNorm(forward=gain, noise_cov=cov, nave=30).fit(X[:1], mean)
    np.testing.assert_allclose(averaged.sources_, whole.sources_, atol=1e-10)
    assert averaged.score(X[:1], mean) > averaged.score(X[:30], y[:30])


def test_order_of_trials_does_not_matter_and_conditions_do_not_mix(trials):
    X, y, gain, _, cov = trials
    order = np.random.default_rng(1).permutation(len(X))
    solver = MinimumNorm(forward=gain, noise_cov=cov)
    expected = solver.fit(X, y).predict(X)
    np.testing.assert_allclose(solver.fit(X[order], y[order]).predict(X), expected, atol=1e-10)
    alone = solver.fit(X[:30], y[:30]).predict(X[:30])
    np.testing.assert_allclose(alone, expected[:30], atol=1e-10)
    with pytest.raises(ValueError, match=r"Row 1 of X has events .* not fitted"):
        solver.predict(X[[0, 40]])


def test_sources_are_found_and_have_the_right_amplitude(trials):
    X, y, gain, sources, cov = trials
    solver = MinimumNorm(forward=gain, noise_cov=cov, snr=20.0, depth=None).fit(X, y)
    vector = solver.transform(make_events(2, 60, 20), pick_ori="vector")
    amplitude = solver.transform()
    assert vector.shape == (2, 15, 3, 60)
    np.testing.assert_allclose(amplitude, np.linalg.norm(vector, axis=2))
    assert amplitude[0, :, 35].argmax() == 3
    assert amplitude[1, :, 35].argmax() == 8
    np.testing.assert_allclose(
        solver.predict(), np.einsum("cpo,npot->nct", gain, vector), atol=1e-10
    )


def test_fields_alone_are_enough(trials):
    _, _, gain, sources, _ = trials
    fields = gain.reshape(20, -1) @ sources.reshape(2, 45, 60)
    solver = MinimumNorm(forward=gain, onset=20).fit(None, fields)
    np.testing.assert_array_equal(solver.events_, make_events(2, 60, 20))
    assert solver.score(None, fields) == solver.score(make_events(2, 60, 20), fields)
    with pytest.raises(ValueError, match="onset=None"):
        MinimumNorm(forward=gain).fit(None, fields)
    for onset in (-1, 60):
        with pytest.raises(ValueError, match="from 0 to 59"):
            MinimumNorm(forward=gain, onset=onset).fit(None, fields)
    with pytest.raises(ValueError, match="requires y to be passed"):
        MinimumNorm(forward=gain).fit(fields)


def test_grid_search_over_trials_with_stock_scorers(trials):
    X, y, gain, _, cov = trials
    folds = KFold(5, shuffle=True, random_state=0)
    grid = {"snr": [1e-3, 1.0, 5.0]}
    search = GridSearchCV(MinimumNorm(forward=gain, noise_cov=cov), grid, cv=folds).fit(X, y)
    assert search.best_params_["snr"] > 1e-3
    flat = y.reshape(len(y), -1)
    scores = cross_validate(
        MinimumNorm(forward=gain, noise_cov=cov, nave=1),
        X,
        flat,
        cv=folds,
        scoring=["r2", "neg_mean_squared_error"],
    )
    assert np.isfinite(scores["test_r2"]).all()
    best = search.best_estimator_
    np.testing.assert_allclose(
        best.fit(X, flat).predict(X), best.fit(X, y).predict(X).reshape(50, -1)
    )


def test_channels_that_are_missing_are_predicted(trials):
    X, y, gain, _, cov = trials
    holes = y.copy()
    holes[:, [2, 11]] = np.nan
    before = holes.copy()
    solver = MinimumNorm(forward=gain, noise_cov=cov, snr=20.0).fit(X, holes)
    np.testing.assert_array_equal(holes, before)
    kept = np.delete(np.arange(20), [2, 11])
    part = MinimumNorm(forward=gain[kept], noise_cov=cov[np.ix_(kept, kept)], snr=20.0)
    part.fit(X, y[:, kept])
    np.testing.assert_allclose(solver.sources_, part.sources_, atol=1e-10)
    assert solver.predict(X).shape == y.shape
    np.testing.assert_allclose(solver.score(X, holes), part.score(X, y[:, kept]))
    holes[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        solver.fit(X, holes)


def test_held_out_channels_tell_a_penalty_that_is_too_strong():
    rng = np.random.default_rng(0)
    gain = np.cumsum(rng.normal(size=(60, 10)), axis=0)
    current = np.zeros((1, 10, 40))
    current[0, 4, 15:30] = 1.0
    y = gain @ current + 0.2 * rng.normal(size=(1, 60, 40))
    X = make_events(1, 40, 10)
    scores = {
        snr: cross_val_channels(MinimumNorm(forward=gain, snr=snr), X, y, 4, random_state=0)
        for snr in (0.01, 10.0)
    }
    assert scores[10.0].shape == (4,)
    assert scores[10.0].mean() > 0.8 > scores[0.01].mean()
    with pytest.raises(ValueError, match="forward=None"):
        cross_val_channels(MinimumNorm(), X, y)
    with pytest.raises(ValueError, match="n_splits"):
        cross_val_channels(MinimumNorm(forward=gain), X, y, n_splits=61)


def test_covariances_that_lack_rank(trials):
    X, y, gain, _, cov = trials
    direction = np.ones((20, 1)) / np.sqrt(20)
    projection = np.eye(20) - direction @ direction.T
    for dtype in (np.float64, np.float32):
        lean = (projection @ cov @ projection).astype(dtype)
        whitener = whitener_of(lean.astype(float))
        if dtype is np.float64:
            assert whitener.shape == (19, 20)
            np.testing.assert_allclose(whitener @ lean @ whitener.T, np.eye(19), atol=1e-8)
        problem = Recorder(forward=gain, noise_cov=projection @ cov @ projection)
        assert problem.fit(X, projection @ y).problem_.data.shape == (2, 19, 60)
    estimated = Recorder(forward=gain).fit(X, projection @ y)
    assert estimated.problem_.data.shape == (2, 19, 60)


def test_channels_of_other_units_do_not_change_the_sources(trials):
    X, y, gain, _, cov = trials
    scale = np.where(np.arange(20) < 10, 1e-13, 1e-6)
    plain = MinimumNorm(forward=gain, noise_cov=cov).fit(X, y)
    scaled = MinimumNorm(
        forward=gain * scale[:, None, None], noise_cov=cov * np.outer(scale, scale)
    )
    scaled.fit(X, y * scale[:, None])
    np.testing.assert_allclose(scaled.sources_, plain.sources_, atol=1e-8)
    np.testing.assert_allclose(scaled.score(X, y * scale[:, None]), plain.score(X, y), rtol=1e-6)


def test_noise_estimate_is_close_and_falls_back():
    rng = np.random.default_rng(0)
    mixing = np.eye(6) + 0.4 * rng.normal(size=(6, 6))
    y = mixing @ rng.normal(size=(40, 6, 100)) + 5.0  # an offset is not noise
    cov, estimated = estimate_noise_cov(y, np.ones(40), slice(0, 50))
    assert estimated
    np.testing.assert_allclose(cov, mixing @ mixing.T, atol=0.15)
    means, _ = estimate_noise_cov(y / np.sqrt(9), np.full(40, 9.0), slice(0, 50))
    np.testing.assert_allclose(means, cov)
    cov, estimated = estimate_noise_cov(y, np.ones(40), None)
    assert not estimated
    np.testing.assert_allclose(cov, np.eye(6) * np.mean(y**2))
    y[:, 2] = 0.0
    cov, _ = estimate_noise_cov(y, np.ones(40), slice(0, 50))
    assert cov[2, 2] == pytest.approx(np.diag(cov)[[0, 1, 3, 4, 5]].mean(), rel=0.01)


def bad_inputs():
    cov = np.eye(20)
    nan = np.full((20, 15), np.nan)
    silent = np.ones((20, 15, 3))
    silent[:, 4] = 0.0
    return [
        ({"forward": np.ones((19, 15))}, "19 channels in forward and 20 in y"),
        ({"forward": nan}, "forward must be finite"),
        ({"forward": np.ones((20, 15, 2))}, "forward must have the shape"),
        ({"forward": silent}, "1 of 15 positions"),
        ({"forward": "head.fif"}, "forward must be None"),
        ({"noise_cov": np.eye(19)}, r"shape \(20, 20\)"),
        ({"noise_cov": np.zeros((20, 20))}, "zeros on the diagonal"),
        ({"noise_cov": cov * np.nan}, "noise_cov must be finite"),
        ({"noise_cov": cov - np.tri(20, k=-1)}, "symmetric"),
        ({"noise_cov": cov - np.full((20, 20), 0.4)}, "positive semidefinite"),
        ({"orientation": "tangential"}, "'orientation' parameter"),
        ({"forward": np.ones((20, 15, 3)), "orientation": "fixed"}, "surface normals"),
        ({"forward": np.ones((20, 15)), "orientation": "loose"}, "three orientations"),
        ({"loose": 0.0}, "'loose' parameter"),
        ({"depth": 2.0}, "'depth' parameter"),
        ({"nave": 0}, "'nave' parameter"),
        ({"snr": 0.0}, "'snr' parameter"),
        ({"method": "mne"}, "'method' parameter"),
        ({"info": 3}, "info must be"),
    ]


@pytest.mark.parametrize("params, message", bad_inputs())
def test_bad_parameters(trials, params, message):
    X, y, gain, _, _ = trials
    with pytest.raises((ValueError, TypeError), match=message):
        MinimumNorm(**{"forward": gain, **params}).fit(X, y)


def test_bad_data(trials):
    X, y, gain, _, _ = trials
    solver = MinimumNorm(forward=gain)
    for constant in (0.0, 3.0):
        with pytest.raises(ValueError, match="y must vary"):
            solver.fit(X, np.full_like(y, constant))
    with pytest.raises(ValueError, match="NaN only"):
        solver.fit(X, np.full_like(y, np.nan))
    with pytest.raises(ValueError, match="as many samples"):
        solver.fit(X, y[:, :, :50])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        solver.fit(X[:40], y)
    with pytest.raises(ValueError, match="pick_ori"):
        solver.fit(X, y).transform(X, pick_ori="normal")
    with pytest.raises(ValueError, match="y must have the shape"):
        solver.score(X, y[:, :19])


def test_make_events_checks_its_arguments():
    with pytest.raises(ValueError, match="n_conditions"):
        make_events(0, 10, 3)
    with pytest.raises(ValueError, match="from 0 to 9"):
        make_events(1, 10, 10)
    with pytest.raises(TypeError, match="onset"):
        make_events(1, 10, 2.5)
