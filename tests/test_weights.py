"""A weight in ``fit`` is the trial repeated; weight 0 leaves it out."""

import numpy as np
import pytest
import sklearn
import torch
from sklearn.model_selection import cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.validation import has_fit_parameter
from torch import nn

from robustness.worlds import METRICS, SOLVERS, STATES, public_estimators, world
from sklearn_meg._training.batches import weighted_loss

# What makes the order of trials, which folds and batches depend on, the same with repeated ones:
# as many folds as neighbors of equal weight together, one batch of all, nothing held out.
FULL_BATCH = {"batch_size": 1000, "validation_fraction": 0, "dropout": 0.0, "dtype": "float64"}
KNOWN_NOISE = {"noise_cov": np.eye(4), "find_bad_channels": False}
SAME_ORDER = {
    **dict.fromkeys(SOLVERS, KNOWN_NOISE),
    "DeepRecurrentEncoder": {**FULL_BATCH, "base": "trf", "base_params": {"cv": 3}},
    "CosineThreshold": {},
    "NerveDecoder": {**FULL_BATCH, "augment": 0.0},
    "NerveRegressor": {**FULL_BATCH, "augment": 0.0},
    "RecurrentTRF": {},
    "RidgeThreshold": {"alphas": (1e-3,)},
    "SubjectMean": {},
    "TemporalReceptiveField": {"cv": 3},
    "ThresholdCNN": FULL_BATCH,
    "WindowClassifier": {},
    "WindowRegressor": {},
}
# Where what is held out, or where trees are cut, depends on the number of samples.
OTHERS = ("BoostedThreshold", "KalmanRegressor", "UniformFieldThreshold")
NAMES = (*SAME_ORDER, *OTHERS)


def times_of(w):
    """How often each trial counts, the same for both subjects or sessions of a world."""
    times = np.repeat(np.tile([0, 1, 2, 1], -(-len(w.X) // 4)), 2)
    return times[: len(w.X)]


LENGTH = "the length of a recording is its weight, and a recording can be left out of the list"
PEAKS = "amplitude weighs each peak of each voxel, mask leaves voxels out; fields have no order"
UNLABELED = "learns scales of features alone, and most of them without samples"
WITHOUT = {
    **dict.fromkeys(STATES, LENGTH),
    **dict.fromkeys(METRICS, PEAKS),
    "EFieldSampler": "what it knows does not come from samples",
    **dict.fromkeys(("ChannelScaler", "FeatureExpansion", "NerveFeatures"), UNLABELED),
    "PassiveThreshold": "its constants are of physics, and its process goes through the samples",
}


def test_every_estimator_takes_weights_or_says_why_not():
    found = {c.__name__ for c in public_estimators() if has_fit_parameter(c, "sample_weight")}
    assert found == set(NAMES)
    assert {c.__name__ for c in public_estimators()} == found | set(WITHOUT)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.filterwarnings(r"ignore:.*\[repeated-trials\]")
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


def test_losses_of_torch_take_weights():
    rng = torch.Generator().manual_seed(0)
    said, true = torch.randn(2, 6, 3, generator=rng)[:, :, :, None]
    times = torch.tensor([0, 1, 2, 3, 1, 2])
    repeated = [part.repeat_interleave(times, dim=0) for part in (said, true)]
    for criterion in (nn.MSELoss(), nn.SmoothL1Loss()):
        found = weighted_loss(criterion, said, true, times)
        torch.testing.assert_close(found, criterion(*repeated))
        assert criterion.reduction == "mean"
    with pytest.raises(TypeError, match="reduction='mean'"):
        weighted_loss(nn.MSELoss(reduction="sum"), said, true, times)


def test_a_criterion_of_torch_in_a_fit():
    w = world("NerveRegressor")
    params = {"net_params": {"criterion": nn.MSELoss()}, "strategy": "direct"}
    fits = [w.model(**params).fit(w.X, w.y, sample_weight=s) for s in (None, np.ones(len(w.X)))]
    np.testing.assert_allclose(*(fit.predict(w.X) for fit in fits), rtol=1e-4, atol=1e-6)


def test_an_estimator_inside_that_takes_no_weights():
    w = world("WindowClassifier")
    model = w.model(estimator=KNeighborsClassifier())
    with pytest.raises(ValueError, match="must take it in fit. Got KNeighborsClassifier"):
        model.fit(w.X, w.y, sample_weight=np.ones(len(w.X)))


def test_balanced_classes_stay_balanced():
    w = world("WindowClassifier")
    weights = np.where(w.y == 0, 100.0, 1.0)
    share = w.model(session_model=True).fit(w.X, w.y, sample_weight=weights).window_counts_
    np.testing.assert_allclose(share, share[0])
    priors = w.model().fit(w.X, w.y, sample_weight=weights).estimator_.priors_
    assert priors[0] > 0.9
