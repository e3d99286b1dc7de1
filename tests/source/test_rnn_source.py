"""The recurrent source solver: sources of known currents, new events, and bad input."""

import pickle
import sys
import warnings
from pathlib import Path

import joblib
import mne
import numpy as np
import pytest
import skops.io
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

from sklearn_meg.exceptions import AssumptionWarning
from sklearn_meg.source import (
    GROUP_PARAMS,
    PAPER_PARAMS,
    RNNSourceSolver,
    cross_val_channels,
    fields_to_xy,
    make_events,
)

sys.path.insert(0, str(Path(__file__).parent))
from _worlds import simulate_evoked, sphere_forward

N_TIMES, ONSET, WHERE = 50, 15, 7
FIT = {"max_epochs": 150, "lr": 0.02, "random_state": 0}  # as good, a little faster
QUICK = {"max_epochs": 10, "random_state": 0}  # where sources are, not how well they fit


def world(n_orient=3, amplitudes=(1.0,), n_trials=40, noise=1.0, seed=0, where=(WHERE,)):
    """X, y, gain and currents: one bump at each of some positions, conditions in turn."""
    rng = np.random.default_rng(seed)
    gain = rng.normal(size=(20, 30, 3) if n_orient == 3 else (20, 30))
    direction = np.array([0.6, 0.0, 0.8]) if n_orient == 3 else np.ones(1)
    currents = np.zeros((len(amplitudes), 30, n_orient, N_TIMES))
    for index, position in enumerate(where):
        bump = np.zeros(N_TIMES)
        bump[20 + 4 * index : 36 + 4 * index] = np.hanning(16)
        for condition, amplitude in enumerate(amplitudes):
            currents[condition, position] = amplitude * direction[:, None] * bump
    labels = np.arange(n_trials) % len(amplitudes)
    fields = gain.reshape(20, -1) @ currents.reshape(len(amplitudes), -1, N_TIMES)
    y = fields[labels] + noise * rng.normal(size=(n_trials, 20, N_TIMES))
    return make_events(len(amplitudes), N_TIMES, ONSET)[labels], y, gain, currents


@pytest.fixture(scope="module")
def one():
    return world()


@pytest.fixture(scope="module")
def two():
    """Two conditions, the second half as strong."""
    return world(amplitudes=(1.0, 0.5), n_trials=60)


@pytest.fixture(scope="module")
def fitted(one):
    X, y, gain, _ = one
    return RNNSourceSolver(forward=gain, **FIT).fit(X, y)


def peaks(solver, X=None):
    return np.abs(solver.transform(X))[:, WHERE].max(axis=1)


# ------------------------------------------------------------------ sources


@pytest.mark.parametrize("n_orient", [1, 3])
def test_the_source_and_its_time_course_are_found(n_orient):
    X, y, gain, currents = world(n_orient)
    solver = RNNSourceSolver(forward=gain, **FIT).fit(X, y)
    np.testing.assert_array_equal(solver.support_, [WHERE])
    assert solver.sources_.shape == (1, 30, n_orient, N_TIMES)
    assert solver.sources_.dtype == solver.predict(X).dtype == np.float64
    for course, true in zip(solver.sources_[0, WHERE], currents[0, WHERE]):
        np.testing.assert_allclose(course, true, atol=0.15)
    amplitude = np.abs(solver.transform()[0]).max(axis=1)
    assert len(solver.evidence_) == 1 and solver.evidence_[0] > 5
    np.testing.assert_array_equal(np.flatnonzero(amplitude), [WHERE])  # zeros, not small numbers
    if n_orient == 3:
        assert abs(solver.dipole_orientations_[0] @ [0.6, 0.0, 0.8]) > 0.99
    fields = gain.reshape(20, -1) @ solver.sources_[0].reshape(-1, N_TIMES)
    np.testing.assert_allclose(solver.predict(X[:1])[0], fields, atol=1e-10)


def test_several_sources_are_told_apart():
    X, y, gain, currents = world(where=(3, 11, 26), n_trials=60)
    solver = RNNSourceSolver(forward=gain, **FIT).fit(X, y)
    assert set(solver.support_) == {3, 11, 26}
    for position in (3, 11, 26):
        true = np.linalg.norm(currents[0, position], axis=0)
        assert np.corrcoef(solver.transform()[0, position], true)[0, 1] > 0.95


@pytest.mark.parametrize("n_orient", [1, 3])
def test_noise_has_no_source(n_orient):
    X, _, gain, _ = world(n_orient)
    y = np.random.default_rng(5).normal(size=(len(X), 20, N_TIMES))
    with pytest.warns(UserWarning, match="evidence for no source"):
        solver = RNNSourceSolver(forward=gain, **FIT).fit(X, y)
    assert solver.support_.shape == (0,)
    assert np.abs(solver.sources_).max() < 0.05
    predicted = solver.predict(X)
    assert predicted.shape == y.shape and np.abs(predicted).max() < 0.2
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(solver)).predict(X), predicted)


@pytest.mark.filterwarnings("ignore:There is evidence for no source")
def test_a_fit_that_finds_nothing_forgets_the_one_before(one):
    X, y, gain, _ = one
    noise = np.random.default_rng(5).normal(size=y.shape)
    solver = RNNSourceSolver(forward=gain, **QUICK)
    expected = clone(solver).fit(X, noise).predict(X)
    np.testing.assert_array_equal(solver.fit(X, y).fit(X, noise).predict(X), expected)


def test_conditions_jointly_have_the_right_ratio(two):
    X, y, gain, _ = two
    solver = RNNSourceSolver(forward=gain, **FIT).fit(X, y)
    np.testing.assert_array_equal(solver.support_, [WHERE])
    np.testing.assert_allclose(peaks(solver), [1.0, 0.5], atol=0.12)
    again = solver.predict()[np.arange(60) % 2]
    np.testing.assert_allclose(solver.predict(X), again, atol=1e-5)  # float32, other batches


def test_numbers_of_trials_do_not_scale_currents(two):
    X, y, gain, _ = two
    keep = np.r_[np.arange(0, 60, 2), np.arange(1, 25, 2)]
    solver = RNNSourceSolver(forward=gain, **FIT).fit(X[keep], y[keep])
    np.testing.assert_array_equal(solver.nave_, [30, 12])
    np.testing.assert_allclose(peaks(solver), [1.0, 0.5], atol=0.15)


def test_averages_instead_of_trials(two):
    X, y, gain, _ = two
    means = np.array([y[::2].mean(axis=0), y[1::2].mean(axis=0)])
    solver = RNNSourceSolver(forward=gain, nave=30, **FIT).fit(X[:2], means)
    np.testing.assert_array_equal(solver.support_, [WHERE])
    np.testing.assert_array_equal(solver.nave_, [30, 30])
    np.testing.assert_allclose(peaks(solver), [1.0, 0.5], atol=0.12)
    alone = RNNSourceSolver(forward=gain, nave=30, onset=ONSET, **FIT).fit(None, means)
    np.testing.assert_array_equal(alone.sources_, solver.sources_)
    noise = np.random.default_rng(3).normal(size=means.shape)
    known = clone(alone).set_params(noise_cov=30 * np.eye(20), max_epochs=5)
    with pytest.warns(UserWarning, match="evidence for no source"):
        assert not len(known.fit(None, noise).support_)


def test_trials_without_noise():
    X, y, gain, _ = world(noise=0.0, n_trials=16)
    solver = RNNSourceSolver(forward=gain, **QUICK)
    np.testing.assert_array_equal(solver.fit(X, y).support_, [WHERE])
    np.testing.assert_array_equal(solver.fit(X[:1], y[:1]).support_, [WHERE])


def test_units_do_not_matter(one, fitted):
    X, y, gain, _ = one
    tesla = RNNSourceSolver(forward=gain * 1e-6, **FIT).fit(X, y * 1e-13)
    np.testing.assert_array_equal(tesla.support_, [WHERE])
    np.testing.assert_allclose(peaks(tesla) * 1e7, peaks(fitted), rtol=1e-3)


# ------------------------------------------------------------------ MNE


def test_evokeds_to_source_estimates():
    evokeds, forward, cov = simulate_evoked()
    solver = RNNSourceSolver(forward=forward, noise_cov=cov, **FIT).fit(evokeds)
    np.testing.assert_array_equal(np.sort(solver.support_), [4, 11])
    stcs = solver.to_stc()
    assert [type(stc) for stc in stcs] == [mne.VolSourceEstimate] * 2
    for condition, stc in enumerate(stcs):
        np.testing.assert_allclose(stc.times, evokeds[0].times, atol=1e-9)
        at, when = np.unravel_index(stc.data.argmax(), stc.data.shape)
        assert at == 4 + 7 * condition and 0.04 < stc.times[when] < 0.15
        assert stc.data.max() == pytest.approx(2e-8, rel=0.4)
    (vector,) = solver.to_stc(solver.events_[:1], pick_ori="vector")
    np.testing.assert_allclose(vector.magnitude().data * 1e9, stcs[0].data * 1e9, atol=1e-4)
    assert solver.score(evokeds) > 0.8


def test_dipoles_lie_between_grid_points_and_make_the_fields():
    info, forward = sphere_forward()
    order = np.argsort(np.linalg.norm(forward["source_rr"] - [0.03, 0.0, 0.06], axis=1))
    pair = order[:2]  # half of the current at each of two neighbors: a dipole between them
    course = np.zeros(60)
    course[25:45] = 4e-8 * np.hanning(20)
    gain = forward["sol"]["data"].reshape(forward["nchan"], -1, 3)
    fields = gain[:, pair].mean(axis=1) @ np.array([0.0, 1.0, 0.0])
    rng = np.random.default_rng(0)
    y = np.outer(fields, course) + 1e-14 * rng.normal(size=(30, len(fields), 60))
    X = np.zeros((30, 1, 60))
    X[:, :, 20:] = 1.0
    solver = RNNSourceSolver(forward=forward, info=info, random_state=0).fit(X, y)
    middle = forward["source_rr"][pair].mean(axis=0)
    assert len(solver.support_) == 1
    spacing = np.linalg.norm(np.diff(forward["source_rr"][pair], axis=0))
    assert np.linalg.norm(solver.dipole_positions_[0] - middle) < 0.2 * spacing
    assert abs(solver.dipole_orientations_[0, 1]) > 0.95
    predicted = solver.predict(X[:1])[0]
    true = np.outer(fields, course)
    assert np.square(predicted - true).sum() < 0.02 * np.square(true).sum()
    ((dipole,),) = solver.to_dipoles()
    np.testing.assert_allclose(dipole.pos[0], solver.dipole_positions_[0])
    assert np.corrcoef(dipole.amplitude, course)[0, 1] ** 2 > 0.99
    np.testing.assert_allclose(np.linalg.norm(dipole.ori, axis=1), 1)
    ((later,),) = solver.to_dipoles(np.roll(X[:1], 5, axis=2) * (np.arange(60) >= 25))
    shift = np.abs(later.amplitude).argmax() - np.abs(dipole.amplitude).argmax()
    assert abs(shift - 5) <= 1


def test_dipoles_need_places(one, fitted):
    with pytest.raises(ValueError, match=r"to_dipoles needs forward.*ndarray"):
        fitted.to_dipoles()
    with pytest.raises(NotFittedError):
        RNNSourceSolver().to_dipoles()


@pytest.mark.parametrize("orientation", ["fixed", "loose"])
def test_surfaces(orientation):
    evokeds, forward, cov = simulate_evoked("surface")  # currents that are not along the normal
    solver = RNNSourceSolver(forward=forward, noise_cov=cov, orientation=orientation, **QUICK)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        solver.fit(evokeds)
    assert [each.message.code for each in heard] == ["lead-field"] * (orientation == "fixed")
    assert solver.n_orient_ == (1 if orientation == "fixed" else 3)
    assert len(solver.support_)
    assert type(solver.to_stc()[0]) is mne.SourceEstimate


def test_epochs_and_arrays_of_them_agree():
    (evoked,), forward, cov = simulate_evoked(n_conditions=1, noise=1e-18)
    cov["data"] = cov["data"] * (5e-14 / 1e-18) ** 2
    rng = np.random.default_rng(1)
    data = evoked.data + 5e-14 * rng.standard_normal((30, *evoked.data.shape))
    events = np.column_stack([np.arange(30), np.zeros(30), np.ones(30)]).astype(int)
    epochs = mne.EpochsArray(
        data, evoked.info, events, -0.1, {"tone": 1}, baseline=None, verbose="error"
    )
    solver = RNNSourceSolver(forward=forward, noise_cov=cov, **QUICK).fit(epochs)
    np.testing.assert_array_equal(solver.support_, [4])
    X, y = fields_to_xy(epochs)
    arrays = RNNSourceSolver(forward=forward, noise_cov=cov, info=epochs.info, **QUICK).fit(X, y)
    np.testing.assert_array_equal(arrays.sources_, solver.sources_)
    np.testing.assert_array_equal(solver.predict(epochs[:2]), arrays.predict(X[:2]))


# ------------------------------------------------------------------ other events


def test_a_later_event_moves_the_response(one, fitted):
    X = one[0]
    now = fitted.predict(X[:1])[0]
    for shift in (-4, 5):
        moved = fitted.predict(make_events(1, N_TIMES, ONSET + shift))[0]
        part = slice(5, -5)
        back = np.roll(moved, -shift, axis=1)
        assert np.corrcoef(back[:, part].ravel(), now[:, part].ravel())[0, 1] > 0.98


def test_an_absent_event_has_no_field_and_half_an_event_half(one, fitted):
    present = fitted.predict(one[0][:1])
    assert not fitted.predict(np.zeros((1, 1, N_TIMES))).any()
    half = fitted.predict(one[0][:1] / 2)
    np.testing.assert_allclose(half, present / 2, atol=0.03 * np.abs(present).max())


# ------------------------------------------------------------------ parameters


def test_alpha_decides_how_many_sources():
    X, y, gain, _ = world(where=(3, 11, 26), n_trials=60)
    counts = [
        len(RNNSourceSolver(forward=gain, alpha=alpha, **QUICK).fit(X, y).support_)
        for alpha in (99.9, 30.0, "auto")
    ]
    assert counts == [1, 3, 3]
    with pytest.warns(AssumptionWarning, match="The sources leave"):
        few = RNNSourceSolver(forward=gain, max_sources=2, **QUICK).fit(X, y)
    assert len(few.support_) == 2


@pytest.mark.parametrize(
    "params",
    [
        {"localizer": "penalty"},
        {"localizer": "penalty", "penalty": "l1"},
        PAPER_PARAMS,
        GROUP_PARAMS,
    ],
    ids=["l21", "l1", "paper", "group"],
)
def test_penalty_on_all_positions(params, two):
    X, y, gain, _ = two
    means = np.array([y[::2].mean(axis=0), y[1::2].mean(axis=0)])
    solver = RNNSourceSolver(forward=gain, random_state=0).set_params(**params).fit(X, y)
    np.testing.assert_array_equal(solver.support_, np.arange(30))
    assert not hasattr(solver, "evidence_")
    assert solver.score(X[:2], means) > 0.1
    assert np.abs(solver.transform()[0]).max(axis=1).argmax() == WHERE
    again = pickle.loads(pickle.dumps(solver))
    np.testing.assert_array_equal(again.predict(X), solver.predict(X))


def test_a_strong_penalty_leaves_less(two):
    X, y, gain, _ = two
    solver = RNNSourceSolver(forward=gain, localizer="penalty", n_modes=12, n_reweight=0, **FIT)
    total = {
        alpha: np.abs(solver.set_params(alpha=alpha).fit(X, y).transform()).sum()
        for alpha in (0.1, 90.0)
    }
    assert total[90.0] < 0.5 * total[0.1]


@pytest.mark.parametrize(
    "params",
    [
        {"cell": "rnn", "lr": 3e-3, "max_epochs": 200},
        {"cell": "lstm"},
        {"n_layers": 2, "init": "random", "hidden_size": 16},
    ],
    ids=["rnn", "lstm", "layers"],
)
def test_other_networks(params, two):
    X, y, gain, _ = two
    means = np.array([y[::2].mean(axis=0), y[1::2].mean(axis=0)])
    solver = RNNSourceSolver(forward=gain, **{**FIT, **params}).fit(X, y)
    np.testing.assert_array_equal(solver.support_, [WHERE])
    assert solver.score(X[:2], means) > 0.3


class Explode(Callback):
    """Gradients of a training that diverges."""

    def on_grad_computed(self, net, named_parameters, **kwargs):
        for _, parameter in named_parameters:
            parameter.grad.fill_(np.inf)


def test_training_that_diverges_is_taken_back(two):
    """Where gradients overflow the exact source layer of the start is kept, without an error."""
    X, y, gain, _ = two
    means = np.array([y[::2].mean(axis=0), y[1::2].mean(axis=0)])
    solver = RNNSourceSolver(forward=gain, callbacks=[Explode()], **FIT).fit(X, y)
    assert solver.n_iter_ == 1 and solver.score(X[:2], means) > 0.3


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_other_precisions(dtype, one, fitted):
    X, y, gain, _ = one
    solver = RNNSourceSolver(forward=gain, dtype=dtype, **FIT).fit(X, y)
    assert solver.predict(X).dtype == np.float64
    np.testing.assert_allclose(peaks(solver), peaks(fitted), rtol=0.1)


def test_stability_is_a_share(one):
    X, y, gain, _ = one
    solver = RNNSourceSolver(forward=gain, n_estimators=8, **QUICK).fit(X, y)
    assert solver.stability_.shape == (30,)
    assert solver.stability_.min() >= 0 and solver.stability_.max() <= 1
    assert solver.stability_[WHERE] == 1
    assert np.median(solver.stability_) < 0.5
    assert not hasattr(solver.set_params(n_estimators=1).fit(X, y), "stability_")


def test_without_a_lead_field_sources_are_channels(one):
    X, y, _, _ = one
    solver = RNNSourceSolver(**FIT).fit(X, y)
    assert solver.sources_.shape == (1, 20, 1, N_TIMES)
    np.testing.assert_array_equal(solver.transform(X), solver.predict(X))
    assert solver.score(X[:1], y.mean(axis=0, keepdims=True)) > 0.7


# ------------------------------------------------------------------ scikit-learn


def test_copies_predict_the_same(one, fitted, tmp_path):
    X, y, _, _ = one
    later = make_events(1, N_TIMES, 20)
    joblib.dump(fitted, tmp_path / "solver.joblib")
    skopsed = skops.io.dumps(fitted)
    types = skops.io.get_untrusted_types(data=skopsed)
    assert types == ["sklearn_meg.source.rnn.RNNSourceSolver"]
    for again in (
        pickle.loads(pickle.dumps(fitted)),
        joblib.load(tmp_path / "solver.joblib"),
        skops.io.loads(skopsed, trusted=types),
        clone(fitted).fit(X, y),
    ):
        np.testing.assert_array_equal(again.predict(later), fitted.predict(later))
        np.testing.assert_array_equal(again.transform(X), fitted.transform(X))


def test_parameters_set_after_the_fit_change_nothing(one, fitted):
    X = one[0]
    expected = fitted.predict(X)
    solver = pickle.loads(pickle.dumps(fitted))
    solver.set_params(hidden_size=3, cell="lstm", dtype="float64", forward=None, n_layers=2)
    np.testing.assert_array_equal(solver.predict(X), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(solver)).predict(X), expected)


def test_same_seed_same_result_and_global_generators_untouched(one, fitted):
    X, y, gain, _ = one
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads()  # noqa: NPY002
    again = RNNSourceSolver(forward=gain, **FIT).fit(X, y)
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    after = torch.get_rng_state(), np.random.get_state()[1], torch.get_num_threads()  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    np.testing.assert_array_equal(before[1], after[1])
    assert before[2] == after[2]
    other = RNNSourceSolver(forward=gain, **{**FIT, "random_state": 1}).fit(X, y)
    assert not np.array_equal(other.predict(X), fitted.predict(X))


def test_layout_and_precision_of_the_data_do_not_matter(one, tmp_path):
    X, y, gain, _ = one
    y32 = y.astype(np.float32)
    solver = RNNSourceSolver(forward=gain, **QUICK)
    expected = solver.fit(X, y32.astype(float)).predict(X)
    np.save(tmp_path / "y.npy", y32)
    X_before = X.copy()
    read_only = X.copy()
    read_only.flags.writeable = False
    for y_variant in (np.asfortranarray(y32), np.load(tmp_path / "y.npy", mmap_mode="r")):
        got = clone(solver).fit(read_only, y_variant).predict(read_only)
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)
        np.testing.assert_array_equal(y_variant, y32)
    np.testing.assert_array_equal(X, X_before)


def test_grid_search_over_trials(two):
    X, y, gain, _ = two
    grid = {"hidden_size": [1, 16]}
    search = GridSearchCV(RNNSourceSolver(forward=gain, max_epochs=40, random_state=0), grid, cv=2)
    search.fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all() and search.best_params_["hidden_size"] == 16
    with joblib.parallel_config("threading"):
        parallel = clone(search).set_params(n_jobs=2).fit(X, y)
    np.testing.assert_array_equal(parallel.cv_results_["mean_test_score"], scores)


def test_flat_fields_and_stock_scorers(one, fitted):
    X, y, gain, _ = one
    solver = clone(fitted).fit(X, y.reshape(len(y), -1))
    np.testing.assert_array_equal(solver.predict(X).reshape(y.shape), fitted.predict(X))


def test_missing_channels_are_predicted(one):
    X, y, gain, currents = one
    holes = y.copy()
    holes[:, [2, 9]] = np.nan
    solver = RNNSourceSolver(forward=gain, **FIT).fit(X, holes)
    np.testing.assert_array_equal(solver.support_, [WHERE])
    true = np.einsum("cpo,pot->ct", gain, currents[0])[[2, 9]]
    predicted = solver.predict(X[:1])[0, [2, 9]]
    assert np.corrcoef(predicted.ravel(), true.ravel())[0, 1] > 0.9


def test_held_out_channels_prefer_the_true_lead_field(one):
    X, y, gain, _ = one
    solver = RNNSourceSolver(forward=gain, **FIT)
    true = cross_val_channels(solver, X, y, 2, random_state=0)
    other = np.random.default_rng(9).normal(size=gain.shape)
    with pytest.warns(AssumptionWarning, match="The sources leave"):
        false = cross_val_channels(solver.set_params(forward=other), X, y, 2, random_state=0)
    assert true.shape == (2,) and true.min() > 0.3 > false.max()


# ------------------------------------------------------------------ bad input

BAD_PARAMS = [
    ({"localizer": "l1"}, "'localizer' parameter"),
    ({"penalty": "l2"}, "'penalty' parameter"),
    ({"cell": "GRU"}, "'cell' parameter"),
    ({"init": None}, "'init' parameter"),
    ({"alpha": "sure"}, "'alpha' parameter"),
    ({"alpha": 0}, "'alpha' parameter"),
    ({"alpha": 100}, "'alpha' parameter"),
    ({"alpha": np.nan}, "'alpha' parameter"),
    ({"alpha": None}, "'alpha' parameter"),
    ({"n_reweight": -1}, "'n_reweight' parameter"),
    ({"n_modes": 0}, "'n_modes' parameter"),
    ({"max_sources": 0}, "'max_sources' parameter"),
    ({"max_sources": 2.0}, "'max_sources' parameter"),
    ({"n_estimators": 0}, "'n_estimators' parameter"),
    ({"hidden_size": 0}, "'hidden_size' parameter"),
    ({"n_layers": True}, "'n_layers' parameter"),
    ({"orientation": "tangential"}, "'orientation' parameter"),
    ({"orientation": "fixed"}, "surface normals"),
    ({"loose": 0.0}, "'loose' parameter"),
    ({"depth": -1.0}, "'depth' parameter"),
    ({"nave": 0}, "'nave' parameter"),
    ({"max_epochs": 0}, "'max_epochs' parameter"),
    ({"lr": 0.0}, "'lr' parameter"),
    ({"weight_decay": -1.0}, "'weight_decay' parameter"),
    ({"schedule": "step"}, "'schedule' parameter"),
    ({"clip_norm": 0.0}, "'clip_norm' parameter"),
    ({"device": "abacus"}, "'device' parameter"),
    ({"dtype": "float16"}, "'dtype' parameter"),
    ({"n_threads": 0}, "'n_threads' parameter"),
    ({"callbacks": 3}, "callbacks must be"),
    ({"net_params": 3}, "net_params must be"),
    ({"info": 3}, "info must be"),
    ({"random_state": "seed"}, "cannot be used to seed"),
    ({"forward": "head.fif"}, "forward must be None"),
    ({"forward": np.ones((19, 30))}, "19 channels in forward and 20 in y"),
    ({"forward": np.full((20, 30), np.nan)}, "forward must be finite"),
    ({"forward": np.ones((20, 30, 2))}, "forward must have the shape"),
    ({"noise_cov": np.eye(19)}, r"shape \(20, 20\)"),
    ({"noise_cov": np.eye(20) - 0.4}, "positive semidefinite"),
]


@pytest.mark.parametrize("params, message", BAD_PARAMS)
def test_bad_parameters_are_named_before_any_training(params, message, one, monkeypatch):
    X, y, gain, _ = one
    monkeypatch.setattr(RNNSourceSolver, "_train", lambda *a, **k: pytest.fail("trained"))
    with pytest.raises((ValueError, TypeError), match=message):
        RNNSourceSolver(**{"forward": gain, **params}).fit(X, y)


BAD_DATA = {
    "NaN": (lambda X, y: (X, np.where(y == y.max(), np.nan, y)), "NaN"),
    "NaN only": (lambda X, y: (X, np.full_like(y, np.nan)), "NaN only"),
    "infinity": (lambda X, y: (np.where(X == 1, np.inf, X), y), "infinity"),
    "constant": (lambda X, y: (X, np.full_like(y, 2.0)), "y must vary"),
    "nothing after the onset": (lambda X, y: (X, y * (np.arange(50) < ONSET)), "y must not be 0"),
    "no y": (lambda X, y: (X, None), "requires y"),
    "no onset": (lambda X, y: (None, y), "onset=None"),
    "fewer trials": (lambda X, y: (X[:-1], y), "inconsistent numbers of samples"),
    "fewer samples": (lambda X, y: (X, y[..., :-1]), "as many samples"),
    "more channels": (lambda X, y: (X, np.repeat(y, 2, axis=1)), "20 channels in forward and 40"),
    "4-D": (lambda X, y: (X[..., None], y), "must have the shape"),
    "complex": (lambda X, y: (X * 1j, y), "Complex"),
    "no trials": (lambda X, y: (X[:0], y[:0]), "0 sample"),
    "no event": (lambda X, y: (np.zeros_like(X), y), "X must change at some sample"),
    "constant events": (lambda X, y: (np.ones_like(X), y), "X must change at some sample"),
}


@pytest.mark.parametrize("what", BAD_DATA)
def test_bad_data(what, one, monkeypatch):
    X, y, gain, _ = one
    spoil, message = BAD_DATA[what]
    monkeypatch.setattr(RNNSourceSolver, "_train", lambda *a, **k: pytest.fail("trained"))
    with pytest.raises((ValueError, TypeError), match=message):
        RNNSourceSolver(forward=gain).fit(*spoil(X, y))


@pytest.mark.filterwarnings("ignore:The averages hold")
def test_fields_far_below_their_noise_are_an_error(one):
    X, y, gain, _ = one
    solver = RNNSourceSolver(forward=gain, nave=40, noise_cov=1e30 * np.eye(20), **QUICK)
    with pytest.raises(ValueError, match="same units"):
        solver.fit(X[:1], y.mean(axis=0, keepdims=True))


def test_onset_at_the_first_sample_is_no_change(one):
    _, y, gain, _ = one
    with pytest.raises(ValueError, match="onset=0"):
        RNNSourceSolver(forward=gain, onset=0).fit(None, y[:2])


def test_a_single_sample_needs_no_change(one):
    _, y, gain, _ = one
    solver = RNNSourceSolver(forward=gain, **QUICK).fit(np.ones((len(y), 1)), y[:, :, 26:27])
    np.testing.assert_array_equal(solver.support_, [WHERE])


def test_onset_outside_the_window(one):
    _, y, gain, _ = one
    for onset in (-1, N_TIMES):
        with pytest.raises(ValueError, match=f"from 0 to {N_TIMES - 1}"):
            RNNSourceSolver(forward=gain, onset=onset).fit(None, y)


def test_bad_mne_objects():
    evokeds, forward, cov = simulate_evoked()
    names = evokeds[0].ch_names
    solver = RNNSourceSolver(forward=forward, noise_cov=cov)
    some = mne.pick_channels_forward(forward, names[3:], verbose="error")
    with pytest.raises(ValueError, match=f"missing in forward: {', '.join(names[:3])}"):
        RNNSourceSolver(forward=some, noise_cov=cov).fit(evokeds)
    other = [e.copy().rename_channels({n: f"X{n}" for n in names}) for e in evokeds]
    with pytest.raises(ValueError, match="share no channel name"):
        solver.fit(other)
    with pytest.raises(ValueError, match="outside the window"):
        solver.fit([e.copy().crop(0.05, None) for e in evokeds])
    with pytest.raises(ValueError, match="surface normals"):
        RNNSourceSolver(forward=forward, noise_cov=cov, orientation="loose").fit(evokeds)
    info = mne.create_info(8, 100.0, "eeg")
    data = np.random.default_rng(0).standard_normal((8, 30))
    with pytest.raises(ValueError, match="average reference"):
        RNNSourceSolver().fit(mne.EvokedArray(data, info, tmin=-0.1, verbose="error"))


def test_predict_checks_its_input(one, fitted):
    X, y, gain, _ = one
    with pytest.raises(NotFittedError):
        RNNSourceSolver(forward=gain).predict(X)
    with pytest.raises(ValueError, match="2 features.* 1 features"):
        fitted.predict(np.repeat(X, 2, axis=1))
    with pytest.raises(ValueError, match="49 samples.*50"):
        fitted.predict(X[:, :, :-1])
    with pytest.raises(ValueError, match="NaN"):
        fitted.predict(X * np.nan)
    with pytest.raises(ValueError, match="pick_ori"):
        fitted.transform(X, pick_ori="normal")
    with pytest.raises(ValueError, match="vertices"):
        fitted.to_stc()
