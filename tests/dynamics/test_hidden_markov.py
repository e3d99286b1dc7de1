import copy
import pickle
from dataclasses import replace

import joblib
import numpy as np
import pytest
import skops.io
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_meg import HiddenMarkovGraph
from sklearn_meg.datasets import make_states
from sklearn_meg.dynamics import PAPER_PARAMS, _prepare
from sklearn_meg.dynamics.metrics import match_states, state_accuracy

# Small worlds and wrong numbers of states: doubts are tested elsewhere.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn_meg.dynamics.StateWarning")


@pytest.fixture(scope="module")
def data():
    """Three states that are easily told apart."""
    return make_states("easy", n_states=3, n_subjects=5, n_times=250, n_regions=15)


def make(**params):
    return HiddenMarkovGraph(**{"n_states": 3, "n_init": 3, "random_state": 0, **params})


@pytest.fixture(scope="module")
def fitted(data):
    return make().fit(data.X)


VARIANTS = [
    {},
    {"method": "maximum_likelihood"},
    {"covariance": "shrunk"},
    {"covariance": "shrunk", "method": "maximum_likelihood", "means": False},
    {"covariance": "low_rank", "rank": 5},
    {"covariance": "full"},
    {"covariance": "full", "method": "maximum_likelihood"},
    {"means": False},
    {"prior_weight": 60.0, "stay_prior": 20.0, "init": "random", "n_init": 10},
    {"batch_size": 2},
    {"decoding": "viterbi"},
    {**PAPER_PARAMS, "n_init": 20},
]


@pytest.mark.parametrize("params", VARIANTS, ids=str)
def test_every_variant_finds_the_states(data, params):
    model = make(**params).fit(data.X)
    assert state_accuracy(data.states, model.predict(data.X)) > 0.95
    matching = match_states(data.states, model.predict(data.X))
    true = [np.corrcoef(c[np.triu_indices(15, 1)], model.covariances_[k][np.triu_indices(15, 1)])
            for c, k in zip(data.covariances, matching)]  # fmt: skip
    assert min(c[0, 1] for c in true) > 0.9
    np.testing.assert_allclose(model.transmat_.sum(1), 1)
    before, after = data.states[:, :-1], data.states[:, 1:]
    stays = [(after[before == k] == k).mean() for k in range(3)]
    np.testing.assert_allclose(np.diag(model.transmat_)[matching], stays, atol=0.03)
    assert (np.diff(model.occupancy_) <= 0).all()  # the most frequent state is the first


def test_hard_states_are_found_whatever_the_seed():
    hard = make_states("hard", n_states=3, n_regions=20, random_state=5)
    models = [HiddenMarkovGraph(n_states=3, random_state=seed).fit(hard.X) for seed in range(3)]
    found = [state_accuracy(hard.states, model.predict(hard.X)) for model in models]
    assert min(found) > 0.75 and max(found) - min(found) < 0.02


def test_one_state_is_one_gaussian(data):
    model = make(
        n_states=1, covariance="full", method="maximum_likelihood", emission="gaussian"
    ).fit(data.X)
    X = data.X.transpose(0, 2, 1).reshape(-1, 15)
    expected = multivariate_normal(X.mean(0), np.cov(X.T, bias=True)).logpdf(X).mean()
    np.testing.assert_allclose(model.score(data.X), expected, rtol=1e-4)
    assert model.predict(data.X).max() == 0 and model.information_rate_ == 0


def test_the_bound_rises_while_the_prior_stays(data):
    for method in ("variational", "maximum_likelihood"):
        params = {"covariance": "shrunk", "prior_weight": 40.0, "n_init": 1, "tol": 0.0}
        with pytest.warns(ConvergenceWarning, match="No convergence in 10"):
            model = make(method=method, max_iter=10, init="random", **params).fit(data.X)
        assert (np.diff(model.history_) > -1e-9).all()
        assert not model.converged_


def test_shapes_of_all_kinds_of_input(data, fitted):
    X = data.X
    assert fitted.predict(X).shape == (5, 250)
    assert fitted.predict_proba(X).shape == (5, 250, 3)
    occupancy = fitted.transform(X)
    np.testing.assert_allclose(occupancy, fitted.predict_proba(X).mean(1))
    parts = [X[0], X[1, :, :100], X[2, :, :1]]
    assert [p.shape for p in fitted.predict(parts)] == [(250,), (100,), (1,)]
    assert [p.shape for p in fitted.predict_proba(parts)] == [(250, 3), (100, 3), (1, 3)]
    assert fitted.transform(parts).shape == (3, 3)
    np.testing.assert_array_equal(fitted.predict(X[0].T), fitted.predict(X)[0])
    np.testing.assert_allclose(fitted.transform(X[0].T), fitted.predict_proba(X)[0])
    assert fitted.n_features_in_ == 15
    assert list(fitted.get_feature_names_out()) == ["state0", "state1", "state2"]


def test_score_is_the_likelihood_of_the_samples(data, fitted):
    whole = [fitted.score(x[np.newaxis]) for x in data.X]
    np.testing.assert_allclose(fitted.score(data.X), np.mean(whole))
    one = data.X[:, :, :1]  # a single sample: a mixture
    densities = np.stack(
        [
            multivariate_normal(m, c).pdf(one[:, :, 0])
            for m, c in zip(fitted.means_, fitted.covariances_)
        ]
    )
    np.testing.assert_allclose(fitted.score(one), np.log(fitted.startprob_ @ densities).mean())


def test_units_and_offsets_do_not_matter(data, fitted):
    scaled = make().fit(1e-12 * data.X + 3e-10)
    np.testing.assert_array_equal(scaled.predict(1e-12 * data.X + 3e-10), fitted.predict(data.X))
    expected = fitted.score(data.X) - 15 * np.log(1e-12)
    np.testing.assert_allclose(scaled.score(1e-12 * data.X + 3e-10), expected)


def test_recordings_of_unequal_length(data):
    parts = [x[:, : 250 - 40 * i] for i, x in enumerate(data.X)]
    model = make().fit(parts)
    truth = [z[: 250 - 40 * i] for i, z in enumerate(data.states)]
    assert state_accuracy(truth, model.predict(parts)) > 0.95


@pytest.mark.parametrize("params", [{}, {"batch_size": 2}], ids=str)
def test_any_order_of_the_recordings_gives_the_same_model(data, params):
    X = data.X[:3, :8, :150]
    one, other = make(**params).fit(X), make(**params).fit([X[2], X[0], X[1]])
    for name in ("means_", "covariances_", "transmat_", "startprob_"):
        np.testing.assert_array_equal(getattr(other, name), getattr(one, name))


def test_same_seed_same_bits_and_global_generator_untouched(data, fitted):
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    again = make().fit(data.X)
    again.sample(5)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    np.testing.assert_array_equal(again.covariances_, fitted.covariances_)


def test_round_trips_keep_predictions(data, fitted, tmp_path):
    expected = fitted.predict_proba(data.X)
    joblib.dump(fitted, tmp_path / "model.joblib")
    skopsed = skops.io.dumps(fitted)
    types = skops.io.get_untrusted_types(data=skopsed)
    assert types == ["sklearn_meg.dynamics.hidden_markov.HiddenMarkovGraph"]
    for again in (
        pickle.loads(pickle.dumps(fitted)),
        joblib.load(tmp_path / "model.joblib"),
        skops.io.loads(skopsed, trusted=types),
    ):
        np.testing.assert_array_equal(again.predict_proba(data.X), expected)
        assert again.community_table().equals(fitted.community_table())
    np.testing.assert_array_equal(clone(again).fit(data.X).means_, fitted.means_)


def test_cross_validate_gives_the_same_bits_with_two_jobs(data):
    model = make_pipeline(FunctionTransformer(), make(n_init=2))
    X = data.X[:3, :10, :150]
    one = cross_validate(model, X, cv=KFold(2), n_jobs=1)["test_score"]
    for backend, same in (("loky", X), ("threading", list(X))):
        with joblib.parallel_config(backend):
            two = cross_validate(model, same, cv=KFold(2), n_jobs=2)["test_score"]
        np.testing.assert_array_equal(one, two)


def test_grid_search_finds_the_number_of_states(data):
    search = GridSearchCV(make(n_init=2), {"n_states": [2, 3]}, cv=2, error_score="raise")
    search.fit(data.X)
    assert search.best_params_ == {"n_states": 3}
    assert search.predict(data.X).shape == (5, 250)


def test_input_is_not_modified_and_its_layout_does_not_matter(data, tmp_path):
    X = np.ascontiguousarray(data.X[:2, :8, :150])
    fitted = make(n_init=1).fit(X)
    np.save(tmp_path / "X.npy", X)
    variants = {
        "fortran": np.asfortranarray(X),
        "strided": np.repeat(X, 2, axis=0)[::2],
        "mapped": np.load(tmp_path / "X.npy", mmap_mode="r"),
        "mapped parts": list(np.load(tmp_path / "X.npy", mmap_mode="r")),
    }
    for name, other in variants.items():
        before = [np.array(x) for x in other]
        model = make(n_init=1).fit(other)
        np.testing.assert_array_equal(before, [np.array(x) for x in other], err_msg=name)
        np.testing.assert_allclose(model.covariances_, fitted.covariances_, rtol=1e-8)
    single = make(n_init=1).fit(X.astype(np.float32))
    assert state_accuracy(fitted.predict(X), single.predict(X)) > 0.999


def test_missing_samples_say_nothing(data):
    X = data.X.copy()
    X[1, 3, 50:70] = np.nan  # one region is enough
    X[2, :, 100:130] = np.nan
    with pytest.raises(ValueError, match=r"NaN.*missing='mask'"):
        make().fit(X)
    model = make(missing="mask").fit(X)
    states = model.predict(X)
    assert states.shape == (5, 250)
    assert state_accuracy(data.states, states) > 0.93
    assert np.isfinite(model.score(X))
    inside = model.predict_proba(X)[2, 100:130].max(1)
    assert inside.min() < model.predict_proba(data.X)[2, 100:130].max(1).min()
    junk = X.copy()
    junk[1, :, 50:70] = 1e6
    junk[1, 3, 50:70] = np.nan  # the other regions of a missing sample do not count
    np.testing.assert_allclose(make(missing="mask").fit(junk).means_, model.means_)


def test_batches_of_recordings_give_about_the_same_model(data, fitted):
    streamed = make(batch_size=2).fit(data.X)
    assert state_accuracy(fitted.predict(data.X), streamed.predict(data.X)) > 0.99
    np.testing.assert_allclose(streamed.score(data.X), fitted.score(data.X), atol=0.02)


def test_samples_come_from_the_model(fitted):
    X, states = fitted.sample(n_times=400, n_subjects=10)
    assert X.shape == (10, 15, 400) and states.shape == (10, 400)
    assert state_accuracy(states, fitted.predict(X)) > 0.95
    for k in range(3):
        own = X.transpose(0, 2, 1)[states == k]
        np.testing.assert_allclose(np.cov(own.T), fitted.covariances_[k], atol=0.25)
    assert abs((states[:, 1:] == states[:, :-1]).mean() - 0.97) < 0.02
    np.testing.assert_array_equal(fitted.sample(5)[0], fitted.sample(5)[0])
    assert (fitted.sample(5, random_state=1)[0] != fitted.sample(5)[0]).all()


def test_viterbi_predicts_the_most_probable_path(data, fitted):
    path = copy.copy(fitted).set_params(decoding="viterbi").predict(data.X)
    assert state_accuracy(path, fitted.predict(data.X)) > 0.99


def test_more_states_than_there_are_share_the_occupancy_or_vanish(data):
    model = make(n_states=6, max_iter=400).fit(data.X)
    assert state_accuracy(data.states, model.predict(data.X)) > 0.9
    assert model.stability_ <= 1.0


def _set(X, index, value):
    X = X.copy()
    X[index] = value
    return X


BAD_DATA = {
    "NaN": (lambda X: _set(X, (0, 1, 5), np.nan), r"NaN.*missing='mask'"),
    "infinity": (lambda X: _set(X, (0, 1, 5), np.inf), "infinity"),
    "huge": (lambda X: _set(X, (0, 1, 5), 1e200), "cannot be squared"),
    "complex": (lambda X: X * 1j, "Complex"),
    "text": (lambda X: X.astype(str), "real numbers"),
    "objects": (lambda X: X.astype(object), "real numbers"),
    "masked": (lambda X: np.ma.masked_greater(X, 1), "Masked arrays"),
    "4-D": (lambda X: X[None], "dim 4"),
    "1-D": (lambda X: X[0, 0], "1D|1-D"),
    "scalar": (lambda X: 3.0, "scalar"),
    "none": (lambda X: None, "None|NoneType|scalar"),
    "empty": (lambda X: X[:0], "0 sample"),
    "no samples": (lambda X: X[:, :, :0], "0 sample"),
    "empty list": (lambda X: [], "Expected 2D|0 sample"),
    "one sample each": (lambda X: X[:, :, :1], "at least 2 samples. Got 1 in X.0."),
    "short subject": (lambda X: [X[0], X[1][:, :1]], r"Got 1 in X\[1\]"),
    "other regions": (lambda X: [X[0], X[1][:-1]], r"15 regions in X\[0\] and 14 in X\[1\]"),
    "flat in a list": (lambda X: [X[0], X[1][0]], r"X\[1\] must have the shape"),
    "constant region": (lambda X: _set(X, (slice(None), 2), 7.0), "Constant: 2"),
    "all constant": (lambda X: np.ones_like(X), "Constant: 0, 1"),
    "too few samples": (lambda X: X[:1, :, :5], "3 states of 15 regions need at least 6"),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD_DATA)
def test_bad_data_is_a_clear_error(data, what):
    spoil, message = BAD_DATA[what]
    with pytest.raises((ValueError, TypeError), match=message):
        make().fit(spoil(data.X))


def test_sparse_is_a_clear_error():
    import scipy.sparse as sp

    with pytest.raises(TypeError, match="[Ss]parse"):
        make().fit(sp.random(30, 5, density=0.5, format="csr"))


BAD_PARAMS = [
    {"align": "scale"}, {"align": None}, {"emission": "student"},
    {"n_states": 0}, {"n_states": 2.0}, {"n_states": "4"}, {"n_states": True}, {"n_states": None},
    {"method": "vb"}, {"covariance": "diag"}, {"covariance": None}, {"rank": 0}, {"rank": 1.5},
    {"prior_weight": -1}, {"prior_weight": 3.0}, {"means": "no"}, {"transition_prior": 0},
    {"stay_prior": -1}, {"n_init": 0}, {"init": "pca"}, {"windows": ()}, {"windows": 12},
    {"windows": "12"}, {"windows": (1,)}, {"windows": (8.5,)}, {"max_iter": 0}, {"tol": -1},
    {"tol": np.nan}, {"batch_size": 0}, {"missing": "drop"}, {"decoding": "map"},
    {"layer": "coherence"}, {"density": 0}, {"density": 1.5}, {"damping": 1.0}, {"damping": -0.1},
    {"community_edges": "all"}, {"random_state": "seed"},
]  # fmt: skip


@pytest.mark.parametrize("params", BAD_PARAMS, ids=str)
def test_bad_parameters_are_a_clear_error(data, params):
    name = next(iter(params))
    with pytest.raises((ValueError, TypeError), match=name if name != "random_state" else "seed"):
        make(**params).fit(data.X)


def test_another_number_of_regions_in_predict_names_both(data, fitted):
    for call in (fitted.predict, fitted.score, fitted.transform):
        with pytest.raises(ValueError, match="14 features.*15 features"):
            call(data.X[:, :-1])


def test_a_full_covariance_needs_samples_and_independent_regions(data):
    with pytest.raises(ValueError, match="need at least 48 samples"):
        make(covariance="full").fit(data.X[:1, :, :40])
    copies = np.concatenate([data.X, data.X], axis=1)
    shrunk = make(covariance="shrunk").fit(copies)  # can bear it
    assert np.isfinite(shrunk.score(copies))


def test_a_refit_forgets(data, fitted):
    model = make().fit(data.X[:2, :8, :100])
    model.fit(data.X)
    np.testing.assert_array_equal(model.covariances_, fitted.covariances_)
    assert model.n_features_in_ == 15
    with pytest.raises(ValueError, match="NaN"):  # a refit that fails leaves the model as it was
        model.fit(_set(data.X, (0, 0, 0), np.nan))
    np.testing.assert_array_equal(model.predict(data.X), fitted.predict(data.X))


def test_mne_objects_are_named_in_the_error():
    import mne

    evoked = mne.EvokedArray(np.zeros((2, 50)), mne.create_info(2, 10.0, "eeg"), verbose="error")
    with pytest.raises(ValueError, match="Got EvokedArray.*label_time_courses"):
        make().fit(evoked)


def test_restarts_are_compared_on_a_part_of_long_recordings(data, fitted, monkeypatch):
    monkeypatch.setattr(_prepare, "RACE", replace(_prepare.RACE, samples=1000))
    model = make().fit(data.X)
    assert state_accuracy(fitted.predict(data.X), model.predict(data.X)) > 0.99
    one = make().fit(_line(data.X[:3]))
    assert state_accuracy(data.states[:3].ravel(), one.predict(_line(data.X[:3]))) > 0.9


def _line(X):
    return X.transpose(0, 2, 1).reshape(-1, X.shape[1])


def test_occupancies_as_a_data_frame(data, fitted):
    frame = copy.copy(fitted).set_output(transform="pandas").transform(data.X)
    assert list(frame.columns) == ["state0", "state1", "state2"] and len(frame) == 5


def test_stock_scorers_on_one_recording_and_on_stacks(data):
    X, y = _line(data.X), data.states.ravel()
    rand = cross_validate(
        make(n_init=2), X, y, cv=KFold(2), scoring="adjusted_rand_score", error_score="raise"
    )["test_score"]
    assert rand.min() > 0.6
    model = make(n_init=1, n_states=2)
    labels = np.array([0, 1, 0, 1, 0])  # of subjects: occupancies as features of a classifier
    pipeline = make_pipeline(model, LogisticRegression())
    accuracy = cross_validate(
        pipeline, data.X, labels, cv=KFold(2), scoring="accuracy", error_score="raise"
    )["test_score"]
    assert np.isfinite(accuracy).all()


def test_given_states_are_gone_on_with():
    data = make_states("easy", n_states=3, n_subjects=3, n_times=300, n_regions=15)
    start = data.states.copy()
    start[:, ::3] = -1  # unknown
    model = HiddenMarkovGraph(n_states=3, init=start, random_state=0).fit(data.X)
    assert list(model.start_scores_["kind"]) == ["given"]
    assert state_accuracy(data.states, model.predict(data.X)) > 0.97
    again = clone(model).set_params(init=list(start)).fit(list(data.X))
    np.testing.assert_array_equal(model.means_, again.means_)
    one = HiddenMarkovGraph(n_states=3, init=start[0], random_state=0).fit(data.X[0].T)
    assert state_accuracy(data.states[0], one.predict(data.X[0].T)) > 0.9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s[:2], "the states of all samples of X"),
        (lambda s: s[:, :50], "the states of all samples of X"),
        (lambda s: s + 1, "from 0 to 2"),
        (lambda s: s / 2, "whole numbers"),
    ],
)
def test_given_states_must_fit(change, message):
    data = make_states("easy", n_states=3, n_subjects=3, n_times=100, n_regions=8)
    with pytest.raises(ValueError, match=message):
        HiddenMarkovGraph(n_states=3, init=change(data.states)).fit(data.X)


@pytest.mark.filterwarnings("ignore:Do not trust")
def test_states_keep_the_differences_that_recordings_left_out_bear():
    data = make_states("easy", n_states=3, n_subjects=4, n_times=250, n_regions=10)
    model = HiddenMarkovGraph(n_states=3, n_init=3, random_state=0).fit(data.X)
    scores = model.difference_scores_
    assert model.difference_ == 1
    assert scores["loglik"][scores["covariances"] == 0].mean() < scores["loglik"].max(0).mean()
    factor = np.random.default_rng(0).normal(size=(10, 10)) / 3 + np.eye(10)
    noise = factor @ np.random.default_rng(1).normal(size=(10, 10, 150))
    found = model.fit(noise[:4]).score(noise[4:])
    assert model.difference_ < 1
    one = HiddenMarkovGraph(n_states=1, random_state=0).fit(noise[:4]).score(noise[4:])
    assert found > one - 0.05
