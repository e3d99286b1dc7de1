"""Decisions, adaptation to sessions, and life inside scikit-learn."""

import pickle
from copy import deepcopy
from functools import cache

import joblib
import numpy as np
import pytest
import skops.io
import torch
from _nerve_world import (
    HOP,
    QUICK,
    SFREQ,
    classifier,
    decoder,
    first_day,
    nerve,
    other_gains,
    small,
)
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from sklearn_meg import NerveDecoder, NerveFeatures, WindowClassifier
from sklearn_meg.nerve import NerveStream, _discriminants, disturbed_sessions

MODELS = {"decoder": decoder, "classifier": classifier}


def parts(session):
    data = nerve()
    chosen = data.session == session
    return data.X[chosen], data.y[chosen]


@pytest.fixture(scope="module", params=MODELS)
def fitted(request):
    """The same model with each kind of adaptation."""
    settings = {"max_epochs": 10, "dtype": "float64"} if request.param == "decoder" else {}
    return {
        adaptation: first_day(MODELS[request.param], adaptation, **settings)
        for adaptation in (None, "batch", "online")
    }


# ---------------------------------------------------------------------- decisions


def test_shapes_and_sums(fitted):
    X = parts(1)[0][:12]
    for model in fitted.values():
        n_windows = len(NerveFeatures(sfreq=SFREQ, hop=HOP).window_ends(X.shape[2]))
        windows = model.predict_proba_windows(X)
        assert windows.shape == (len(X), 10, n_windows)
        np.testing.assert_allclose(windows.sum(axis=1), 1.0)
        np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)
        assert model.predict_windows(X).shape == (len(X), n_windows)
        np.testing.assert_array_equal(model.predict(X), model.predict_proba(X).argmax(axis=1))


def test_the_same_day_is_decoded_far_above_chance(fitted):
    for model in fitted.values():
        assert model.score(*parts(1)) > 0.7  # chance is .1


@other_gains
def test_adaptation_finds_a_drifted_session(fitted):
    scores = {name: model.score(*parts(2)) for name, model in fitted.items()}
    assert scores["batch"] > scores[None] + 0.2
    assert scores["online"] > scores[None] + 0.1


def test_a_known_session_is_decided_trial_by_trial_as_at_once(fitted):
    X = parts(0)[0][:6]
    for model in fitted.values():
        alone = np.concatenate([model.predict_proba(x[np.newaxis]) for x in X])
        np.testing.assert_allclose(model.predict_proba(X), alone, rtol=1e-6, atol=1e-9)


def test_batch_does_not_depend_on_the_order_of_trials(fitted):
    X = parts(2)[0]
    order = np.random.default_rng(0).permutation(len(X))
    for decide in (fitted["batch"].predict_proba, fitted["batch"].predict_proba_windows):
        np.testing.assert_allclose(decide(X[order]), decide(X)[order], atol=1e-6)


def test_online_knows_the_past_only(fitted):
    X = parts(2)[0][:16].copy()
    model = fitted["online"]
    trials, windows = model.predict_proba(X), model.predict_proba_windows(X)
    X[12:, :-1] *= -7.0
    np.testing.assert_array_equal(model.predict_proba(X)[:12], trials[:12])
    assert not np.allclose(model.predict_proba(X)[12:], trials[12:])
    cut = X.shape[2] // 2  # within a trial, too
    changed = np.concatenate([X[:12], X[11:12]])[:12].copy()
    changed[11, :-1, cut:] += 50.0
    n = int(
        (NerveFeatures(sfreq=SFREQ, hop=HOP).window_ends(X.shape[2]) <= cut / SFREQ + 1e-9).sum()
    )
    later = model.predict_proba_windows(changed)
    np.testing.assert_allclose(later[11, :, :n], windows[11, :, :n], atol=1e-9)
    assert not np.allclose(later[11, :, n:], windows[11, :, n:])


@other_gains
def test_sessions_do_not_mix(fitted):
    data = nerve()
    new = data.session > 0
    order = np.random.default_rng(1).permutation(new.sum())[:40]
    mixed, session = data.X[new][order], data.session[new][order]
    for model in fitted.values():
        together = model.predict_proba(mixed)
        for s in (1, 2):
            alone = model.predict_proba(mixed[session == s])
            np.testing.assert_allclose(together[session == s], alone, atol=1e-6)


@pytest.mark.parametrize("adaptation", ["batch", "online"])
def test_amplitudes_of_a_session_are_found_whatever_the_gains(adaptation):
    names = ["mav", "wl", "rms", "v3", "ms", "dasd", "mavs", "wmav"]
    model = classifier(
        adaptation=adaptation, features=names, covariance=False, prior_trials=1e-12
    ).fit(*parts(0))
    X = parts(2)[0]
    other = X.astype(float)
    other[:, :-1] *= np.geomspace(0.1, 10, 8)[:, np.newaxis]
    np.testing.assert_allclose(model.predict_proba(other), model.predict_proba(X), atol=1e-4)
    fixed = deepcopy(model).set_params(adaptation=None)
    assert not np.allclose(fixed.predict_proba(other), fixed.predict_proba(X), atol=0.1)


def test_log_covariances_are_found_whatever_the_units():
    model = classifier(adaptation="batch", features=None, prior_trials=1e-9).fit(*parts(0))
    X = parts(2)[0]
    other = X.astype(float)
    other[:, :-1] *= 30.0
    model.thresholds_ = 1e-6 * model.thresholds_  # no floor
    with pytest.warns(UserWarning, match="signal-units"):  # as if fit had seen a millionth
        np.testing.assert_allclose(model.predict_proba(other), model.predict_proba(X), atol=1e-4)


def test_no_feature_is_lost_in_volts():
    X, y = parts(0)
    volts = X.astype(float)
    volts[:, :-1] *= 1e-6
    model = classifier(adaptation="batch").fit(volts, y)
    assert np.isfinite(model.normal_[1]).all()


def test_rejection(fitted):
    X, y = parts(2)
    model = fitted["batch"]
    best = model.predict_proba(X).max(axis=1)
    middle = float(np.median(best))
    np.testing.assert_array_equal(model.is_uncertain(X, middle), best < middle)
    assert not model.is_uncertain(X, 0.0).any()
    with pytest.raises(ValueError, match="confidence must be between 0 and 1. Got 1.5"):
        model.is_uncertain(X, 1.5)


def test_classes_may_be_names():
    X, y = parts(0)
    names = np.array(nerve().gestures)
    model = decoder().fit(X, names[y])
    assert model.classes_.tolist() == sorted(names)
    expected = first_day(decoder).predict(X)
    assert (model.predict(X) == names[expected]).mean() > 0.9
    assert set(model.predict_windows(X).ravel()) <= set(names)


def test_the_sizes_of_the_paper():
    X, y = np.random.default_rng(0).normal(size=(20, 224, 3)), np.arange(20) % 10
    model = NerveDecoder(network="paper", max_epochs=1, random_state=0).fit(X, y)
    weights = sum(p.numel() for p in model.net_.module_.parameters())
    assert weights == 1_626_122  # as counted for the paper
    assert model.predict_windows(X).shape == (20, 3)


def test_channel_dropout_and_augmentation_change_training_only():
    (X, y), plain = parts(0), first_day(decoder)
    lost = decoder(channel_dropout=0.3).fit(X, y)
    assert not np.array_equal(lost.predict_proba(X), plain.predict_proba(X))
    np.testing.assert_array_equal(lost.predict_proba(X), lost.predict_proba(X))


# ---------------------------------------------------------------------- features as X


def test_features_in_a_pipeline_are_the_same_as_inside():
    data = nerve()
    train, test = data.session == 0, data.session == 2
    for model, last in (
        (first_day(decoder, "batch"), NerveDecoder(session_row=-1, adaptation="batch", **QUICK)),
        (first_day(classifier, "online"), WindowClassifier(session_row=-1, adaptation="online")),
    ):
        pipeline = make_pipeline(NerveFeatures(sfreq=SFREQ, hop=HOP, session_row=-1), last)
        pipeline.fit(data.X[train], data.y[train])
        np.testing.assert_allclose(
            pipeline.predict_proba(data.X[test]), model.predict_proba(data.X[test]), atol=1e-6
        )


def test_trials_of_other_lengths():
    X, model = parts(1)[0], first_day(classifier)
    assert model.predict_windows(X[:, :, :400]).shape == (len(X), 7)
    shared = model.predict_proba_windows(X)[:, :, :7]
    np.testing.assert_allclose(model.predict_proba_windows(X[:, :, :400]), shared)


# ---------------------------------------------------------------------- scikit-learn


@pytest.mark.parametrize("name", MODELS)
def test_round_trips_keep_decisions(name, tmp_path):
    X, y = parts(0)
    new = parts(2)[0]
    model = first_day(MODELS[name], "batch")
    expected = model.predict_proba(new)
    skopsed = skops.io.dumps(model)
    types = skops.io.get_untrusted_types(data=skopsed)
    assert types == [f"{type(model).__module__}.{type(model).__qualname__}"]
    joblib.dump(model, tmp_path / "model.joblib")
    for again in (
        pickle.loads(pickle.dumps(model)),
        joblib.load(tmp_path / "model.joblib"),
        skops.io.loads(skopsed, trusted=types),
    ):
        np.testing.assert_array_equal(again.predict_proba(new), expected)
    np.testing.assert_array_equal(clone(model).fit(X, y).predict_proba(new), expected)


def test_grid_search_over_a_pipeline():
    X, y, session = small()
    pipeline = make_pipeline(
        NerveFeatures(sfreq=1000.0, session_row=-1),
        NerveDecoder(session_row=-1, adaptation="batch", **QUICK),
    )
    search = GridSearchCV(
        pipeline,
        {"nervedecoder__augment": [0.0, 0.5], "nervefeatures__covariance": [True, False]},
        cv=GroupKFold(2),
        scoring=["accuracy", "neg_log_loss"],
        refit="accuracy",
        error_score="raise",
    ).fit(X, y, groups=session)
    assert search.predict(X).shape == y.shape
    assert np.isfinite(search.cv_results_["mean_test_neg_log_loss"]).all()


def test_cross_validation_gives_the_same_bits_with_two_threads():
    X, y, session = small()
    model = NerveDecoder(sfreq=1000.0, session_row=-1, adaptation="online", **QUICK)
    how = {"cv": GroupKFold(2), "groups": session, "method": "predict_proba"}
    one = cross_val_predict(model, X, y, n_jobs=1, **how)
    with joblib.parallel_config("threading"):
        two = cross_val_predict(model, X, y, n_jobs=2, **how)
    np.testing.assert_array_equal(one, two)


def test_cross_validate_over_sessions():
    X, y, session = small()
    scores = cross_validate(
        WindowClassifier(sfreq=1000.0, session_row=-1, adaptation="batch"),
        X, y, groups=session, cv=GroupKFold(2), scoring=("accuracy", "f1_macro"),
    )  # fmt: skip
    assert scores["test_accuracy"].shape == (2,) and (scores["test_f1_macro"] >= 0).all()


def test_same_seed_same_result_and_global_generators_untouched():
    X, y, _ = small()
    model = NerveDecoder(sfreq=1000.0, session_row=-1, channel_dropout=0.2, **QUICK)
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads()  # noqa: NPY002
    first = clone(model).fit(X, y).predict_proba(X)
    after = torch.get_rng_state(), np.random.get_state()[1], torch.get_num_threads()  # noqa: NPY002
    assert torch.equal(before[0], after[0]) and before[2] == after[2]
    np.testing.assert_array_equal(before[1], after[1])
    torch.manual_seed(2)
    np.testing.assert_array_equal(clone(model).fit(X, y).predict_proba(X), first)
    other = clone(model).set_params(random_state=1).fit(X, y).predict_proba(X)
    assert not np.array_equal(other, first)


@cache
def _decided(cls):
    X, y, _ = small()
    return _of_layouts(cls).fit(X, y).predict_proba(X)


def _of_layouts(cls):
    quick = QUICK if cls is NerveDecoder else {}
    return cls(sfreq=1000.0, session_row=-1, adaptation="batch", **quick)


@pytest.mark.parametrize("kind", ["float64", "fortran", "memmap", "list"])
@pytest.mark.parametrize("cls", [NerveDecoder, WindowClassifier])
def test_layout_does_not_matter_and_input_stays(cls, kind, tmp_path):
    X, y, _ = small()
    expected = _decided(cls)
    variant = {"float64": X.astype(float), "fortran": np.asfortranarray(X), "list": X.tolist()}
    if kind == "memmap":
        np.save(tmp_path / "X.npy", X)
        variant[kind] = np.load(tmp_path / "X.npy", mmap_mode="r")
    before, labels = np.array(variant[kind]), y.copy()
    got = _of_layouts(cls).fit(variant[kind], y).predict_proba(variant[kind])
    np.testing.assert_array_equal(np.array(variant[kind]), before)
    np.testing.assert_array_equal(y, labels)
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-4)


def test_refit_forgets():
    X, y, _ = small()
    model = NerveDecoder(sfreq=1000.0, session_row=-1, **QUICK).fit(*parts(0))
    again = model.fit(X, y).predict_proba(X)
    expected = clone(model).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(again, expected)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("estimator", [RidgeClassifier(), SVC()])
def test_classifiers_without_probabilities(estimator, n_classes):
    X, y, session = small()
    chosen = np.isin(y, np.unique(y)[:n_classes])
    model = WindowClassifier(estimator=estimator, sfreq=1000.0, session_row=-1)
    model.fit(X[chosen], y[chosen])
    assert model.score(X[chosen], y[chosen]) > 0.9
    np.testing.assert_allclose(model.predict_proba(X[chosen]).sum(axis=1), 1.0)
    stream = NerveStream(model, confidence=0.01)
    decisions = stream.push(X[chosen][0, :-1])
    assert [d.label for d in decisions] == model.predict_windows(X[chosen][:1])[0].tolist()


def test_two_classes_with_a_model_of_sessions():
    data = nerve()
    two = np.isin(data.y, [0, 7])
    first, last = two & (data.session == 0), two & (data.session == 2)
    model = decoder(adaptation="batch").fit(data.X[first], data.y[first])
    assert set(model.predict(data.X[last])) <= {0, 7}
    assert model.predict_proba_windows(data.X[last]).shape[1] == 2
    assert model.score(data.X[first], data.y[first]) > 0.8


def test_any_classifier_of_scikit_learn():
    X, y, _ = small()
    forest = RandomForestClassifier(10, random_state=0)
    model = WindowClassifier(estimator=forest, sfreq=1000.0, session_row=-1).fit(X, y)
    assert model.score(X, y) > 0.9
    assert not hasattr(forest, "estimators_")


def test_self_training_helps_itself():
    plain = first_day(classifier, "batch")
    trained = classifier(adaptation="batch", n_self_training=2).fit(*parts(0))
    X, y = parts(2)
    assert trained.score(X, y) >= plain.score(X, y) - 0.05
    np.testing.assert_array_equal(trained.predict(parts(0)[0]), plain.predict(parts(0)[0]))
    with_model = first_day(classifier, "batch", session_model=True)
    assert with_model.score(X, y) >= plain.score(X, y) - 0.05


# ---------------------------------------------------------------------- fine-tuning, export


def test_fine_tuning_learns_the_new_session_without_its_labels():
    model = first_day(decoder, "batch", max_epochs=10)
    X, y = parts(2)
    before = model.predict_proba(X)
    first = np.arange(len(y)) % 2 == 0  # one half is learned from, the other decided
    later = model.fine_tuned(X[first], max_epochs=10).set_params(adaptation="online")
    np.testing.assert_array_equal(model.predict_proba(X), before)
    alone = deepcopy(model).set_params(adaptation="online")
    decided = [each.predict_proba(X[~first]) for each in (later, alone)]
    assert log_loss(y[~first], decided[0]) < log_loss(y[~first], decided[1])
    again = model.fine_tuned(X[first], max_epochs=10).set_params(adaptation="online")
    np.testing.assert_array_equal(again.predict_proba(X[~first]), decided[0])


def test_fine_tuning_needs_something_to_adapt_to():
    X = parts(2)[0]
    with pytest.raises(ValueError, match="fine_tuned needs adaptation='batch' or 'online'"):
        first_day(decoder).fine_tuned(X)
    with pytest.raises(ValueError, match="a session that was not in fit"):
        first_day(decoder, "batch").fine_tuned(parts(0)[0])


@pytest.mark.parametrize("network", ["compact", "paper"])
def test_an_exported_network_gives_the_same_outputs(network, tmp_path):
    X = np.random.default_rng(0).normal(size=(12, 9, 6))
    model = NerveDecoder(network=network, **QUICK).fit(X, np.arange(12) % 3)
    program = model.exported()
    torch.export.save(program, tmp_path / "net.pt2")
    mean, sd = model.normal_
    Z = torch.as_tensor((X[:1] - mean[:, None]) / sd[:, None], dtype=torch.float32)
    module = model.net_.module_.cpu().eval()
    with torch.no_grad():
        expected = module.step(Z, None)[0]
        _, start = module.step(0 * Z[:, :, :1], None)
        zeros = [torch.zeros_like(part) for part in start]
        for step in (program.module(), torch.export.load(tmp_path / "net.pt2").module()):
            state, out = tuple(zeros), []
            for k in range(6):
                now, state = step(Z[:, :, k : k + 1], state)
                out.append(now)
            torch.testing.assert_close(torch.cat(out, dim=2), expected, rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------------- disturbed sessions


def test_disturbed_sessions_are_sessions_of_their_own():
    X, y = parts(0)
    both, labels = disturbed_sessions(X, y, -1, n_copies=2, gain=0.5, random_state=0)
    np.testing.assert_array_equal(both[: len(X)], X)
    np.testing.assert_array_equal(labels, np.tile(y, 3))
    assert np.unique(both[:, -1]).tolist() == [0, 1, 2]
    ratio = both[len(X) : 2 * len(X), :-1] / X[:, :-1]
    np.testing.assert_allclose(ratio, ratio[:1, :, :1] + 0 * ratio, rtol=1e-4)
    assert np.log(ratio[0, :, 0]).std() > 0.1
    again, _ = disturbed_sessions(X, y, -1, n_copies=2, gain=0.5, random_state=0)
    np.testing.assert_array_equal(again, both)


def test_disturbed_sessions_lose_and_shift_channels():
    X, y = parts(0)
    lost, _ = disturbed_sessions(X, y, -1, gain=0.0, dropout=0.5, random_state=0)
    gone = (lost[len(X) :, :-1] == 0).all(axis=(0, 2))
    assert 0 < gone.sum() < 8
    np.testing.assert_array_equal(lost[len(X) :, :-1][:, ~gone], X[:, :-1][:, ~gone])
    moved, _ = disturbed_sessions(X, y, -1, gain=0.0, shift=2.0, random_state=0)
    power = [np.square(part[:, :-1], dtype=float).mean() for part in (X, moved[len(X) :])]
    assert 0.5 < power[1] / power[0] < 2
    assert not np.allclose(moved[len(X) :], X)


@pytest.mark.parametrize("name", ["gain", "dropout", "shift"])
def test_disturbed_sessions_names_what_is_wrong(name):
    X, y = parts(0)
    for value in (-1.0, np.nan):
        with pytest.raises(ValueError, match=f"{name} must not be negative. Got {value}"):
            disturbed_sessions(X, y, -1, **{name: value})
    with pytest.raises(ValueError, match="session_row must select"):
        disturbed_sessions(X, y, 99)


def test_learning_from_sums_is_learning_from_all_windows():
    rng = np.random.default_rng(0)
    old, new = rng.normal(size=(40, 3, 5)), rng.normal(1.0, 2.0, size=(20, 3, 5))
    y_old, y_new = np.arange(40) % 2, np.arange(20) % 2

    def moments(X, y):
        rows, y = window_rows(X, y)
        means = np.stack([rows[y == c].mean(0) for c in (0, 1)])
        return np.bincount(y), means, np.cov((rows - means[y]).T, bias=True)

    counts, means, _ = moments(old, y_old)
    seconds = [rows.T @ rows for rows, _ in (window_rows(old, y_old), window_rows(new, y_new))]
    n_new, sums = 5 * np.bincount(y_new), 5 * np.eye(2)[y_new].T @ new.mean(2)
    found = _discriminants.learned((counts, means, seconds[0]), n_new, sums, seconds[1])
    expected = moments(np.concatenate([old, new]), np.concatenate([y_old, y_new]))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)
    lda = LinearDiscriminantAnalysis(solver="lsqr").fit(*window_rows(old, y_old))
    coef, intercept = _discriminants.discriminants(*moments(old, y_old))
    rows = window_rows(new, y_new)[0]
    odds = rows @ (coef[1] - coef[0]) + intercept[1] - intercept[0]
    np.testing.assert_allclose(odds, lda.decision_function(rows), atol=1e-9)


def window_rows(X, y):
    """Windows as rows, and their classes."""
    return X.transpose(0, 2, 1).reshape(-1, X.shape[1]), np.repeat(y, X.shape[2])
