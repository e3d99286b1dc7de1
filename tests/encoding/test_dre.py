"""What only the deep recurrent encoder does."""

import pickle

import numpy as np
import pytest
import torch

from sklearn_meg import (
    DeepRecurrentEncoder,
    RecurrentTRF,
    SubjectMean,
    TemporalReceptiveField,
    pack_rows,
)
from sklearn_meg.encoding import PAPER_PARAMS
from sklearn_meg.encoding._gate import of_known_subjects
from sklearn_meg.encoding._noise import InnovationLoss, autoregression
from sklearn_meg.encoding._shares import trust
from sklearn_meg.exceptions import AssumptionWarning
from sklearn_meg.metrics import r2, r_across_trials


def encoder(rows, **params):
    small = {"max_epochs": 4, "hidden_size": 8, "random_state": 0}
    return DeepRecurrentEncoder(**{**rows, **small, **params})


# Long enough to learn a product from 240 trials.
TRAINED = {"hidden_size": 16, "max_epochs": 12, "batch_size": 12}


@pytest.fixture(scope="module")
def products():
    """Responses to the product of two features: nothing linear, 3 subjects, 4 channels."""
    rng = np.random.default_rng(0)
    n, n_times = 300, 32
    subjects = np.arange(n) % 3
    features = rng.normal(size=(n, 2, 1)) * (np.arange(n_times) == 4)
    response = np.exp(-((np.arange(n_times) - 12.0) ** 2) / 8)
    mixing = rng.normal(size=(3, 4))[subjects]
    amplitude = features[:, 0, 4] * features[:, 1, 4]
    meg = amplitude[:, None, None] * mixing[:, :, None] * response
    meg = meg + 0.3 * rng.normal(size=meg.shape)
    X, rows = pack_rows(features, subjects=subjects)
    return X, meg, rows, subjects


def test_finds_what_no_linear_encoder_can(products):
    X, y, rows, _ = products
    train, test = slice(0, 240), slice(240, None)
    linear = TemporalReceptiveField(**rows).fit(X[train], y[train]).predict(X[test])
    longer = {**TRAINED, "max_epochs": 25, "validation_fraction": 0.2}  # one network
    deep = encoder(rows, base="trf", **longer).fit(X[train], y[train])
    assert deep.n_networks_ == 1
    r_linear = r_across_trials(y[test], linear, start=8)
    assert r_linear < 0.15
    assert r_across_trials(y[test], deep.predict(X[test]), start=8) > r_linear + 0.1


@pytest.mark.parametrize(("base", "cls"), [("rtrf", RecurrentTRF), ("trf", TemporalReceptiveField)])
def test_starts_as_its_linear_encoder(packed, base, cls):
    X, y, rows, _ = packed
    params = {"tmax": 3}
    deep = encoder(rows, base=base, base_params=params, lr=1e-12).fit(X, y).predict(X)
    linear = cls(**params, **rows).fit(X, y).predict(X)
    start = rows["n_initial"]
    np.testing.assert_allclose(deep[:, :, start:], linear[:, :, start:], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("base", ["rtrf", "trf", None])
def test_the_known_beginning_is_predicted_exactly(packed, base):
    X, y, rows, _ = packed
    model = encoder(rows, base=base, validation_fraction=0.2)
    predicted = model.fit(X, y).predict(X)
    np.testing.assert_allclose(predicted[:, :, :6], y[:, :, :6], rtol=1e-12)
    # ... and nothing that comes after it leaks in.
    spoilt = X.copy()
    spoilt[:, rows["initial_rows"], 6:] = 1e3
    again = model.fit(spoilt, y).predict(X)
    np.testing.assert_array_equal(again, predicted)


@pytest.mark.parametrize("n_times", [1, 3, 33])
@pytest.mark.parametrize(("n_convs", "skip"), [(0, False), (3, True)])
def test_any_length(n_times, n_convs, skip):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(10, 2, n_times)), rng.normal(size=(10, 3, n_times))
    model = encoder({}, n_convs=n_convs, skip_connections=skip).fit(X, y)
    assert model.predict(X).shape == y.shape


@pytest.mark.parametrize("params", [{"cell": "gru"}, {"n_layers": 2}, {"activation": "relu"}])
@pytest.mark.parametrize("subjects", [{}, {"embedding_size": 0}, {"subject_mixing": False}])
def test_every_part_can_be_changed(packed, params, subjects):
    X, y, rows, _ = packed
    model = encoder(rows, **params, **subjects, validation_fraction=0.2)
    assert np.isfinite(model.fit(X, y).predict(X)).all()


def test_paper_parameters(packed):
    X, y, rows, _ = packed
    model = DeepRecurrentEncoder(**{**PAPER_PARAMS, "max_epochs": 1}, **rows, random_state=0)
    model.fit(X, y)
    module = model.net_.module_
    assert module.mixing is None and not module.residual
    assert module.rnn.hidden_size == 512 and module.rnn.num_layers == 2
    assert not hasattr(model, "base_")


def test_without_embedding_and_mixing_the_network_has_no_subject(products):
    X, y, rows, subjects = products
    other = X.copy()
    other[:, rows["subject_row"]] = (subjects[:, None] + 1) % 3
    for size, mixing, knows in ((0, False, False), (16, False, True), (0, True, True)):
        model = encoder(rows, base=None, embedding_size=size, subject_mixing=mixing).fit(X, y)
        same = np.array_equal(model._forward(other), model._forward(X))
        assert same is not knows


def test_subjects_part_less_the_fewer_trials_they_have(products):
    X, y, rows, _ = products

    def share(n):
        model = encoder(rows, base="trf", max_epochs=1, validation_fraction=0)
        return model.fit(X[:n], y[:n]).net_.module_.subject_share

    assert 0 < share(12) < share(60) < share(300) < 1


def test_the_linear_encoder_inside_can_be_used(packed):
    X, y, rows, _ = packed
    model = encoder(rows, validation_fraction=0.2).fit(X, y)
    expected = RecurrentTRF(**rows).fit(X, y).predict(X)
    for again in (model, pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(again.base_.predict(X), expected)


def test_units_do_not_matter(packed):
    X, y, rows, _ = packed
    one = {"validation_fraction": 0.2}
    plain = encoder(rows, **one).fit(X, y).predict(X)
    X_tesla = X.copy()
    X_tesla[:, rows["initial_rows"]] *= 1e-13
    tesla = encoder(rows, **one).fit(X_tesla, y * 1e-13).predict(X_tesla)
    np.testing.assert_allclose(tesla * 1e13, plain, rtol=0.05, atol=0.05)


def test_calibration_helps_a_new_subject_and_leaves_the_others_alone(products):
    X, y, rows, subjects = products
    known, new = subjects < 2, np.flatnonzero(subjects == 2)
    longer = {**TRAINED, "max_epochs": 16, "validation_fraction": 0}
    model = encoder(rows, base="trf", **longer).fit(X[known], y[known])
    before = model.predict(X[known])
    population = r_across_trials(y[new[50:]], model.predict(X[new[50:]]), start=8)
    model.set_params(max_epochs=15, lr=0.02).partial_fit(X[new[:50]], y[new[:50]])
    calibrated = r_across_trials(y[new[50:]], model.predict(X[new[50:]]), start=8)
    assert calibrated > population + 0.05
    np.testing.assert_array_equal(model.predict(X[known]), before)
    assert model.subjects_.tolist() == [0, 1, 2]
    # Calibrated, it is a subject like the others.
    model.set_params(max_epochs=1).partial_fit(X, y)
    assert np.isfinite(model.predict(X)).all()


def test_calibration_with_few_trials_or_wrong_ones(packed):
    X, y, rows, subjects = packed
    model = encoder(rows).fit(X[subjects < 2], y[subjects < 2])
    expected = model.predict(X)
    with pytest.raises(ValueError, match=r"known subjects \[0, 1\] and the new ones \[2\]"):
        model.partial_fit(X, y)
    bad = np.where(y == y.max(), np.nan, y)
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(X[subjects == 2], bad[subjects == 2])
    np.testing.assert_array_equal(model.predict(X), expected)
    two = np.flatnonzero(subjects == 2)[:2]
    model.partial_fit(X[two], y[two])
    assert np.isfinite(model.predict(X)).all()


def test_a_calibration_that_fails_leaves_the_model_as_it_was(packed):
    X, y, rows, subjects = packed
    model = encoder(rows).fit(X[subjects < 2], y[subjects < 2])
    expected = model.predict(X)
    with pytest.raises(ValueError, match="'lr'"):
        model.set_params(lr=-1).partial_fit(X[subjects == 2], y[subjects == 2])
    np.testing.assert_array_equal(model.predict(X), expected)
    assert model.subjects_.tolist() == [0, 1]


def test_with_nothing_to_gain_it_is_the_linear_encoder_to_the_last_bit():
    rng = np.random.default_rng(1)
    features, meg = rng.normal(size=(40, 2, 24)), rng.normal(size=(40, 3, 24))
    X, rows = pack_rows(features, subjects=np.arange(40) % 2, initial=meg, n_initial=8)
    model = encoder(rows).fit(X, meg)
    assert model.gate_ == 0
    np.testing.assert_array_equal(model.predict(X), RecurrentTRF(**rows).fit(X, meg).predict(X))


def test_a_network_that_exaggerates_is_shrunk():
    rng = np.random.default_rng(0)
    added = rng.normal(size=(200, 50))
    for share in (0.0, 0.3, 1.0, 3.0):
        left = share * added + rng.normal(size=added.shape)
        found = trust(np.c_[(left * added).sum(axis=1), (added**2).sum(axis=1)][:, np.newaxis])[0]
        assert found == (0 if share == 0 else pytest.approx(min(share, 1), abs=0.05))


def test_with_few_trials_each_is_held_out_once(packed, monkeypatch):
    X, y, rows, subjects = packed
    held = []
    train = DeepRecurrentEncoder._train

    def watched(self, *args, split=None, **kwargs):
        held.append(split[1])
        assert not np.intersect1d(*split).size
        return train(self, *args, split=split, **kwargs)

    monkeypatch.setattr(DeepRecurrentEncoder, "_train", watched)
    model = encoder(rows).fit(X, y)
    assert model.n_networks_ == len(held) == 4
    np.testing.assert_array_equal(np.sort(np.concatenate(held)), np.arange(len(X)))


def test_one_trial_of_each_subject_cannot_judge_a_network():
    rng = np.random.default_rng(0)
    X, rows = pack_rows(rng.normal(size=(20, 1, 24)), subjects=np.arange(20))
    course = rng.normal(size=(20, 2, 1)) * np.sin(np.arange(24) / 3) + rng.normal(size=(20, 2, 24))
    assert encoder(rows, base="trf").fit(X, course).gate_ == 0
    assert of_known_subjects(np.array([0, 0, 1, 2, 2]), np.array([1, 2])).tolist() == [True, False]


def test_one_subject_whose_features_say_nothing_gets_its_mean_response():
    rng = np.random.default_rng(0)
    X, course = rng.normal(size=(60, 1, 24)), np.sin(np.arange(24) / 3)
    y = course + rng.normal(size=(60, 2, 24))
    model = encoder({}).fit(X[:40], y[:40])
    mean = SubjectMean().fit(X[:40], y[:40])
    assert model.score(X[40:], y[40:]) > mean.score(X[40:], y[40:]) - 0.02
    assert TemporalReceptiveField().fit(X[:40], y[:40]).score(X[40:], y[40:]) < 0.1


def test_broken_assumptions_are_said():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(12, 2, 20)), rng.normal(size=(12, 3, 20))
    for spoilt, code in ((np.r_[y[:11], y[:1]], "repeated-trials"), (y * _gains(1e3), "artifacts")):
        for model in (encoder({}, max_epochs=1), TemporalReceptiveField()):
            with pytest.warns(AssumptionWarning, match=code):
                model.fit(X, spoilt)


def _gains(size):
    return np.where(np.arange(12) == 5, size, 1.0)[:, np.newaxis, np.newaxis]


def test_its_linear_encoder_pools_subjects(packed):
    X, y, rows, _ = packed
    separate = {"partial_pooling": False}
    for base, cls in (("rtrf", RecurrentTRF), ("trf", TemporalReceptiveField)):
        one = {"base": base, "validation_fraction": 0}
        pooled = encoder(rows, **one).fit(X, y).base_
        alone = encoder(rows, **one, base_params=separate).fit(X, y).base_
        np.testing.assert_array_equal(pooled.predict(X), cls(**rows).fit(X, y).predict(X))
        np.testing.assert_array_equal(
            alone.predict(X), cls(**rows, **separate).fit(X, y).predict(X)
        )


def noise(n_trials=200, start=5):
    """Autoregressions of two channels that begin at zero."""
    rng = np.random.default_rng(0)
    error = np.zeros((n_trials, 2, 60))
    for t in range(start, 60):
        error[:, :, t] = np.array([0.9, 0.3]) * error[:, :, t - 1] + rng.normal(size=(n_trials, 2))
    return error


def test_the_noise_is_found_also_where_samples_are_missing():
    error = noise()
    for missing in (False, True):
        filters, scale = autoregression([(error[:90], 1.0), (error[90:], 1.0)], 2, 60, 5)
        np.testing.assert_allclose(filters[:, 0], [0.9, 0.3], atol=0.1)
        np.testing.assert_allclose(filters[:, 1:], 0, atol=0.1)
        np.testing.assert_allclose(scale, 1, atol=0.1)
        if not missing:
            error[::3, :, 40:] = np.nan


def test_innovations_count_in_training_only():
    error = noise()
    loss = InnovationLoss(np.array([[0.9], [0.3]]), np.ones(2), 5, 1.0)
    truth = torch.zeros(error.shape, dtype=torch.float64)
    truth[:, :, :5] = np.nan
    assert loss.train()(torch.as_tensor(error), truth).item() == pytest.approx(1, abs=0.05)
    expected = (error[:, :, 5:] ** 2).mean()
    assert loss.eval()(torch.as_tensor(error), truth).item() == pytest.approx(expected)


def test_memory_mapped_trials_tell_the_same_noise(packed, tmp_path):
    X, y, rows, _ = packed
    mapped = []
    for name, data in (("X", X), ("y", y)):
        np.save(tmp_path / f"{name}.npy", data)
        mapped.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    model = encoder(rows, whitening=1.0, validation_fraction=0.2).fit(*mapped)
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("whitening", [-0.1, 1.5, "half"])
def test_bad_whitening_is_an_error(packed, whitening):
    X, y, rows, _ = packed
    with pytest.raises((ValueError, TypeError), match="whitening"):
        encoder(rows, whitening=whitening).fit(X, y)


def test_the_mean_of_what_is_added_can_stand_alone(products):
    X, y, rows, subjects = products
    X, y, subjects = X[:60].copy(), y[:60], subjects[:60]
    deep = encoder(rows, base="trf", max_epochs=1, validation_fraction=0.2).fit(X, y)
    torch.nn.init.ones_(deep.net_.module_.readout.weight)
    deep.gate_, deep.tree_share_, deep._forests, deep._added_mean = 1.0, 0.0, [], None
    linear = deep.base_.predict(X)
    added = deep.predict(X) - linear
    deep._decide(X, y, *evidence(means=1.0, deviations=-1.0))
    means = np.array([added[subjects == s].mean(axis=0) for s in range(3)])
    np.testing.assert_allclose(deep.predict(X) - linear, means[subjects], atol=1e-4)
    assert deep.gate_ == deep.tree_share_ == 0
    # A subject that is new has the mean of those that were there.
    new = subjects == 2
    X[new, rows["subject_row"]] = 3
    deep.set_params(max_epochs=1, lr=1e-12).partial_fit(X[new], y[new])
    more = deep.predict(X[new]) - deep.base_.predict(X[new])
    scale = deep.y_scale_[3] / deep.y_scale_[:3]
    np.testing.assert_allclose(more[0], (means * scale[..., None]).mean(axis=0), atol=1e-4)


def evidence(means, deviations, n_groups=8):
    """Products of a network whose means and deviations explain some of what is left."""
    both, parts = np.zeros((n_groups, 2, 3)), np.zeros((n_groups, 4, 5))
    both[:, 0, :2] = means + deviations, 2.0
    parts[:, 0, :2], parts[:, 2, 0], parts[:, 2, 3] = (means, 1.0), deviations, 1.0
    if means + deviations <= 0:
        both[:, 0, 0] = 0.5
    return [both], [parts]


def test_means_and_deviations_have_their_own_shares(products):
    X, y, rows, subjects = products
    deep = encoder(rows, base="trf", max_epochs=1, validation_fraction=0.2).fit(X, y)
    torch.nn.init.ones_(deep.net_.module_.readout.weight)
    deep.gate_, deep.tree_share_, deep._forests, deep._added_mean = 1.0, 0.0, [], None
    linear = deep.base_.predict(X)
    added = deep.predict(X) - linear
    mean = np.array([added[subjects == s].mean(axis=0) for s in range(3)])[subjects]
    deep._decide(X, y, *evidence(means=1.0, deviations=0.5))
    expected = mean + 0.5 * (added - mean)
    np.testing.assert_allclose(deep.predict(X) - linear, expected, atol=1e-4)
    assert deep.gate_ == pytest.approx(0.5, abs=1e-4)


def test_equal_shares_stay_equal(packed):
    X, y, rows, _ = packed
    model = encoder(rows, validation_fraction=0.2).fit(X, y)
    model._forests, model._added_mean = [], None
    model._decide(X, y, *evidence(means=0.5, deviations=0.5))
    assert model._added_mean is None
    assert model.gate_ == pytest.approx(0.5, abs=1e-4)


def test_a_network_is_told_nothing_of_the_trials_it_is_judged_on(packed, monkeypatch):
    X, y, rows, _ = packed
    losses, held = [], []
    train = DeepRecurrentEncoder._train

    def watched(self, *args, split=None, **kwargs):
        found = train(self, *args, split=split, **kwargs)
        held.append(split[1])
        losses.append([epoch["train_loss"] for epoch in self.history_])
        return found

    monkeypatch.setattr(DeepRecurrentEncoder, "_train", watched)
    encoder(rows).fit(X, y)
    other = y.copy()
    other[held[0]] += 10 * np.random.default_rng(0).normal(size=other[held[0]].shape)
    first, n = losses[0], len(losses)
    encoder(rows).fit(X, other)
    assert losses[n] == first
    assert losses[n + 1] != losses[1]


def bent(curve, n_trials=480):
    """Responses of two subjects to a curve of one feature, 2 channels, most of it noise."""
    rng = np.random.default_rng(0)
    subjects = np.arange(n_trials) % 2
    values = rng.normal(size=n_trials)
    features = np.zeros((n_trials, 1, 20))
    features[:, 0, 4] = values
    y = rng.normal(size=(n_trials, 2, 20))
    y[:, :, 4:9] += curve(values)[:, np.newaxis, np.newaxis]
    return *pack_rows(features, subjects=subjects), y


def test_its_linear_encoder_takes_splines_where_these_predict_better():
    X, rows, y = bent(np.square)
    short = {"base": "auto", "base_params": {"tmax": 6}, "max_epochs": 1}
    deep = encoder(rows, **short).fit(X, y)
    linear = TemporalReceptiveField(tmax=6, **rows).fit(X, y)
    assert r2(y, deep.base_.predict(X)) > linear.score(X, y) + 0.05
    np.testing.assert_array_equal(deep.base_.linear.predict(X), linear.predict(X))
    few = encoder(rows, **short).fit(X[:160], y[:160])
    assert r2(y, few.base_.predict(X)) > r2(y, few.base_.linear.predict(X)) + 0.05
    fewer = encoder(rows, **short).fit(X[:99], y[:99])
    assert isinstance(fewer.base_, TemporalReceptiveField)
    again = pickle.loads(pickle.dumps(deep))
    np.testing.assert_array_equal(again.predict(X[:5]), deep.predict(X[:5]))
    X[:, 1] += 2  # other subjects
    assert np.isfinite(deep.partial_fit(X[:20], y[:20]).predict(X[:20])).all()


def test_splines_that_tell_nothing_change_nothing():
    X, rows, y = bent(np.positive, 120)
    short = {"base_params": {"tmax": 6}, "max_epochs": 1}
    models = [encoder(rows, base=base, **short).fit(X, y) for base in ("auto", "trf")]
    assert all(isinstance(model.base_, TemporalReceptiveField) for model in models)
    np.testing.assert_array_equal(*(model.predict(X) for model in models))
