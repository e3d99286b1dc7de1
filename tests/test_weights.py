"""A weight in ``fit`` is the trial repeated; weight 0 leaves it out."""

import numpy as np
import pytest
import sklearn
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline

from robustness.worlds import SOLVERS, world

# What makes the order of trials, which folds and batches depend on, the same with repeated ones:
# as many folds as neighbors of equal weight together, one batch of all, nothing held out.
FULL_BATCH = {"batch_size": 1000, "validation_fraction": 0, "dropout": 0.0, "dtype": "float64"}
KNOWN_NOISE = {"noise_cov": np.eye(4), "find_bad_channels": False}
SAME_ORDER = {
    **dict.fromkeys(SOLVERS, KNOWN_NOISE),
    "DeepRecurrentEncoder": {**FULL_BATCH, "base": "trf", "base_params": {"cv": 3}},
    "CosineThreshold": {},
    "RecurrentTRF": {},
    "RidgeThreshold": {"alphas": (1e-3,)},
    "SubjectMean": {},
    "TemporalReceptiveField": {"cv": 3},
    "ThresholdCNN": FULL_BATCH,
}
# Where what is held out, or where trees are cut, depends on the number of samples.
OTHERS = ("BoostedThreshold", "UniformFieldThreshold")
NAMES = (*SAME_ORDER, *OTHERS)


def times_of(w):
    """How often each trial counts, the same for both subjects or sessions of a world."""
    times = np.repeat(np.tile([0, 1, 2, 1], -(-len(w.X) // 4)), 2)
    return times[: len(w.X)]


# Trials that occur twice, and thresholds of chance.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn_meg.exceptions.AssumptionWarning")


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.parametrize("name", SAME_ORDER)
def test_a_weight_is_the_trial_repeated(name):
    w = world(name)
    times, params = times_of(w), SAME_ORDER[name]
    repeated = w.model(**params).fit(np.repeat(w.X, times, axis=0), np.repeat(w.y, times, axis=0))
    weighted = w.model(**params).fit(w.X, w.y, sample_weight=times)
    for a, b in zip(w.results(weighted), w.results(repeated), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_weight_0_leaves_out(name):
    w = world(name)
    times = times_of(w).astype(float)
    kept = times > 0
    spoiled = np.where(kept.reshape(-1, *[1] * (w.y.ndim - 1)), w.y, w.y[::-1])
    weighted = w.model().fit(w.X, spoiled, sample_weight=times)
    less = w.model().fit(w.X[kept], w.y[kept], sample_weight=times[kept])
    for a, b in zip(w.results(weighted), w.results(less), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", NAMES)
def test_equal_weights_change_nothing(name):
    w = world(name)
    weighted = w.model().fit(w.X, w.y, sample_weight=np.ones(len(w.X)))
    for a, b in zip(w.results(weighted), w.results(w.fitted()), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_routed(name, routing):
    w = world(name)
    model = w.model().set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
    times = 1 + times_of(w)
    pipe = make_pipeline("passthrough", model).fit(w.X, w.y, sample_weight=times)
    alone = w.model().fit(w.X, w.y, sample_weight=times)
    np.testing.assert_array_equal(pipe.predict(w.X), alone.predict(w.X))
    scores = cross_validate(
        model, w.X, w.y, cv=3, params={"sample_weight": times}, error_score="raise"
    )["test_score"]
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("weight", [-1.0, 0.0, np.nan, "one too many"])
def test_weights_that_are_none(name, weight):
    w = world(name)
    weights = np.ones(len(w.X) + 1) if isinstance(weight, str) else np.full(len(w.X), weight)
    with pytest.raises(ValueError, match="sample_weight"):
        w.model().fit(w.X, w.y, sample_weight=weights)
