import sys

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

from sklearn_meg import HmmlearnStates, MixtureStates, SingleGaussian, WindowStates
from sklearn_meg.datasets import make_states
from sklearn_meg.dynamics.baselines import regular
from sklearn_meg.dynamics.metrics import match_states, state_accuracy

# Small worlds and wrong numbers of states: doubts are tested elsewhere.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn_meg.dynamics.StateWarning")


@pytest.fixture(scope="module")
def data():
    return make_states("easy", n_states=3, n_subjects=4, n_times=300, n_regions=15)


def _samples(X):
    return X.transpose(0, 2, 1).reshape(-1, X.shape[1])


def test_single_gaussian(data):
    model = SingleGaussian().fit(data.X)
    X = _samples(data.X)
    expected = multivariate_normal(X.mean(0), np.cov(X.T, bias=True)).logpdf(X).mean()
    np.testing.assert_allclose(model.score(data.X), expected, rtol=1e-4)
    assert not model.predict(data.X).any()
    shrunk = SingleGaussian(shrinkage=0.5).fit(data.X)
    assert shrunk.score(data.X) < model.score(data.X)


def test_a_mixture_is_a_chain_without_memory(data):
    model = MixtureStates(n_states=3, n_init=3, shrinkage=0.05, random_state=0).fit(data.X)
    np.testing.assert_allclose(model.transmat_, np.tile(model.startprob_, (3, 1)))
    X = _samples(data.X)
    mixture = GaussianMixture(3)
    mixture.weights_, mixture.means_ = model.startprob_, model.means_
    mixture.precisions_cholesky_ = np.stack(
        [np.linalg.cholesky(np.linalg.inv(c)) for c in model.covariances_]
    )
    np.testing.assert_allclose(model.score(data.X), mixture.score(X))
    np.testing.assert_allclose(
        model.predict_proba(data.X).reshape(-1, 3), mixture.predict_proba(X), atol=1e-8
    )
    assert state_accuracy(data.states, model.predict(data.X)) > 0.6


def test_windows_are_labeled_in_the_order_of_the_recordings(data):
    model = WindowStates(n_states=3, window=15, random_state=0).fit(data.X)
    labels = model.labels_.reshape(data.states.shape)
    assert state_accuracy(data.states, labels) > 0.8
    assert state_accuracy(data.states, model.predict(data.X)) > 0.9
    np.testing.assert_array_equal(match_states(labels, model.predict(data.X)), [0, 1, 2])
    turned = WindowStates(n_states=3, window=15, random_state=0).fit(data.X[::-1])
    np.testing.assert_array_equal(turned.labels_.reshape(labels.shape), labels[::-1])


def test_hmmlearn_behind_the_same_interface(data):
    pytest.importorskip("hmmlearn")
    model = HmmlearnStates(n_states=3, n_init=2, shrinkage=0.1, random_state=0).fit(data.X)
    assert state_accuracy(data.states, model.predict(data.X)) > 0.9
    again = HmmlearnStates(n_states=3, n_init=2, shrinkage=0.1, random_state=0).fit(data.X)
    np.testing.assert_array_equal(again.covariances_, model.covariances_)
    X = data.X.copy()
    X[0, 0, 3] = np.nan
    with pytest.raises(ValueError, match="no missing samples"):
        HmmlearnStates(n_states=3, missing="mask").fit(X)


def test_collapsed_covariances_are_made_regular():
    good = np.array([[2.0, 0.5], [0.5, 1.0]])
    found = regular([good, np.ones((2, 2)), np.zeros((2, 2)), np.full((2, 2), np.nan)])
    np.testing.assert_array_equal(found[0], good)
    np.testing.assert_allclose(found[1], np.ones((2, 2)), rtol=0.02)
    assert (np.linalg.eigvalsh(found) > 0).all()


def test_hmmlearn_that_is_not_there_is_named(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "hmmlearn", None)
    monkeypatch.setitem(sys.modules, "hmmlearn.hmm", None)
    with pytest.raises(ImportError, match=r"sklearn-meg\[dynamics\]"):
        HmmlearnStates().fit(data.X)


@pytest.mark.parametrize("cls", [SingleGaussian, MixtureStates, WindowStates])
def test_missing_samples_and_bad_parameters(cls, data):
    X = data.X.copy()
    X[0, :, 10:40] = np.nan
    model = cls(missing="mask", random_state=0).fit(X)
    assert np.isfinite(model.score(X)) and model.state_samples_.sum() == 1170
    with pytest.raises(ValueError, match="missing='mask'"):
        cls().fit(X)
    with pytest.raises(ValueError, match="shrinkage"):
        cls(shrinkage=1.0).fit(data.X)
    with pytest.raises(ValueError, match="density"):
        cls(density=0.0).fit(data.X)
