import numpy as np
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklearn_meg import Study
from sklearn_meg.study.blocks import block_folds, n_overlapping, purge
from sklearn_meg.study.knowledge import predict_in_parts


def test_blocks_are_contiguous_in_time_within_each_subject():
    subjects = np.repeat([0, 1], 10)
    order = np.concatenate([np.arange(10)[::-1], np.arange(10)])
    folds = block_folds(subjects, 5, order=order)
    assert (np.bincount(folds) == 4).all()
    for s in (0, 1):
        mine = folds[subjects == s][np.argsort(order[subjects == s])]
        assert (np.diff(mine) >= 0).all()


def test_runs_stay_whole():
    subjects = np.repeat([0, 1], 12)
    runs = np.tile(np.repeat(list("abc"), 4), 2)
    folds = block_folds(subjects, 2, runs=runs)
    for s in (0, 1):
        for run in "abc":
            assert len(set(folds[(subjects == s) & (runs == run)])) == 1
    with pytest.raises(ValueError, match="at least 4 runs of every subject. Got 3 of subject 0"):
        block_folds(subjects, 4, runs=runs)


def test_no_training_trial_shares_samples_with_a_test_trial():
    rng = np.random.default_rng(0)
    onsets = np.sort(rng.uniform(0, 25, 80))
    spans = np.c_[onsets, onsets + rng.uniform(0.5, 2.0, 80)]
    recordings = np.arange(80) % 2
    splits = [(np.setdiff1d(np.arange(80), test), test) for test in np.split(np.arange(80), 4)]
    purged, counts = purge(splits, spans, recordings)
    assert sum(counts) > 0
    for (train, test), (before, _) in zip(purged, splits):
        meets = (spans[before][:, None, 0] <= spans[test][None, :, 1]) & (
            spans[test][None, :, 0] <= spans[before][:, None, 1]
        )
        meets &= recordings[before][:, None] == recordings[test][None]
        np.testing.assert_array_equal(train, before[~meets.any(axis=1)])


def test_the_number_of_overlapping_trials():
    spans = np.array([[0, 1], [0.5, 1.5], [3, 4], [3.5, 3.6], [9, 10]])
    assert n_overlapping(spans, np.zeros(5)) == 4
    assert n_overlapping(spans, np.array([0, 1, 0, 0, 0])) == 2


def test_a_fold_without_training_trials_is_an_error():
    spans = np.tile([[0.0, 1.0]], (6, 1))
    with pytest.raises(ValueError, match="Every training trial of fold 0 overlaps"):
        purge([(np.arange(3), np.arange(3, 6))], spans, np.zeros(6))


def test_classes_one_after_the_other_are_in_every_fold():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 5)), np.repeat(["a", "b"], 40)
    study = Study({"logistic": LogisticRegression()}, cv=4).run(X, y)
    for train, test in study.splits_:
        assert set(y[train]) == set(y[test]) == {"a", "b"}
    chance = study.table_.set_index("model").loc["chance", "balanced_accuracy"]
    np.testing.assert_allclose(chance, 0.5)
    mixed = np.tile(["a", "b"], 40)  # nothing changes where contiguous blocks have all classes
    for _, test in Study({"logistic": LogisticRegression()}, cv=4).run(X, mixed).splits_:
        assert np.ptp(test) == 19


class Adapting(DummyRegressor):
    """Predicts how many trials it is given at once, as a model that adapts to them would."""

    def __init__(self, adaptation=None):
        super().__init__()
        self.adaptation = adaptation

    def predict(self, X):
        return np.full(len(X), float(len(X)))


@pytest.mark.parametrize("adaptation, together", [(None, False), ("batch", True)])
def test_a_model_that_adapts_is_given_all_test_trials_at_once(adaptation, together):
    X = np.zeros((12, 4, 2**16))  # 2 MiB a trial, more than a part
    model = make_pipeline("passthrough", Adapting(adaptation)).fit(X, np.zeros(12))
    given = np.concatenate([y for _, y in predict_in_parts(model, X.__getitem__, X, X)])
    assert bool(given.max() == len(X)) is together
