"""Decisions while a recording arrives are those of whole trials."""

import pickle
import warnings
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from _nerve_world import (
    HOP,
    REGRESSORS,
    SFREQ,
    classifier,
    decoder,
    first_day,
    nerve,
    other_gains,
)

from sklearn_meg import (
    KalmanRegressor,
    NerveFeatures,
    NerveRegressor,
    WindowClassifier,
    WindowRegressor,
)
from sklearn_meg.nerve import NerveStream, _kept, _losing
from sklearn_meg.nerve import stream as stream_module

EXACT = {"dtype": "float64"}
MODELS = {"decoder": (decoder, EXACT), "classifier": (classifier, {})}


def later():
    data = nerve()
    chosen = data.session == 2
    return data.X[chosen][:15], data.y[chosen][:15]


def day(session):
    data = nerve()
    chosen = data.session == session
    return data.X[chosen], data.y[chosen]


def pushed(stream, signal, rng):
    """Decisions on a signal that comes in chunks of random sizes."""
    decisions, start = [], 0
    while start < signal.shape[1]:
        size = int(rng.integers(0, 130))
        decisions += stream.push(signal[:, start : start + size])
        start += size
    return decisions


@pytest.fixture(scope="module")
def model():
    return first_day(classifier)


@pytest.fixture(scope="module", params=[None, "online"])
def recurrent(request):
    return first_day(decoder, request.param, **EXACT)


# ---------------------------------------------------------------------- the same decisions


@other_gains
@pytest.mark.parametrize("adaptation", [None, "online"])
@pytest.mark.parametrize("name", MODELS)
def test_chunks_of_any_size_give_the_decisions_of_whole_trials(name, adaptation):
    make, params = MODELS[name]
    model = first_day(make, adaptation, **params)
    X, _ = later()
    expected, labels = model.predict_proba_windows(X), model.predict_windows(X)
    trials = model.predict(X)
    rng = np.random.default_rng(0)
    stream = NerveStream(model)
    for i, trial in enumerate(X):
        decisions = pushed(stream, trial[:-1], rng)
        assert [d.label for d in decisions] == labels[i].tolist()
        np.testing.assert_allclose(
            [d.probability for d in decisions], expected[i].max(axis=0), rtol=1e-6
        )
        assert all(d.reason == "" and d.latency > 0 for d in decisions)
        assert stream.end_trial() == trials[i]


@pytest.mark.parametrize("cls", REGRESSORS)
def test_movements_in_a_stream_are_those_of_whole_trials(cls):
    exact = EXACT if cls is NerveRegressor else {}
    model = first_day(cls, "online", **exact)
    X, _ = later()
    expected = model.predict(X[:5])
    stream = model.stream() if cls is NerveRegressor else NerveStream(model)
    rng = np.random.default_rng(1)
    for i, trial in enumerate(X[:5]):
        decisions = pushed(stream, trial[:-1], rng)
        got = np.array([d.label for d in decisions]).T
        np.testing.assert_allclose(got, expected[i], rtol=1e-6, atol=1e-9)
        assert np.isnan(decisions[0].probability)
        assert stream.end_trial() is None


def test_time_stamps_are_the_ends_of_windows(model):
    signal = later()[0][0, :-1]
    ends = NerveFeatures(sfreq=SFREQ, hop=HOP).window_ends(signal.shape[1])
    stream = NerveStream(model)
    np.testing.assert_allclose([d.time for d in stream.push(signal)], ends)
    assert stream.time == pytest.approx(signal.shape[1] / SFREQ)
    stream = NerveStream(model)
    decisions = stream.push(signal[:, :250], time=10.0) + stream.push(signal[:, 250:], time=10.25)
    np.testing.assert_allclose([d.time for d in decisions], 10.0 + ends)
    assert stream.gaps == []


def test_trials_follow_each_other_in_time(model):
    X, _ = later()
    stream = NerveStream(model)
    stream.push(X[0, :-1])
    stream.end_trial()
    first = stream.push(X[1, :-1])[0]
    assert first.time == pytest.approx(X.shape[2] / SFREQ + 0.1)


def test_hop_longer_than_the_window():
    model = first_day(classifier, window=0.04, hop=0.1)
    X, _ = later()
    decisions = pushed(NerveStream(model), X[0, :-1], np.random.default_rng(0))
    assert [d.label for d in decisions] == model.predict_windows(X[:1])[0].tolist()


def test_a_decoder_of_batches_streams_online():
    X, _ = later()
    batch, online = (first_day(classifier, kind) for kind in ("batch", "online"))
    streams = NerveStream(batch), NerveStream(online)
    for trial in X[:4]:
        a, b = (stream.push(trial[:-1]) for stream in streams)
        assert [d.label for d in a] == [d.label for d in b]


# ---------------------------------------------------------------------- state


def test_a_stream_goes_on_from_its_state(recurrent):
    X, _ = later()
    signal = np.concatenate(list(X[:6, :-1]), axis=1)
    stream, cut = recurrent.stream(), 1370  # within a window
    stream.push(signal[:, :600])
    stream.end_trial()
    stream.push(signal[:, 600:cut])
    state = pickle.loads(pickle.dumps(stream.state()))
    again = pickle.loads(pickle.dumps(recurrent)).stream(state=state)
    assert again.time == stream.time
    for a, b in zip(stream.push(signal[:, cut:]), again.push(signal[:, cut:]), strict=True):
        assert (a.time, a.label, a.probability) == (b.time, b.label, b.probability)
    assert stream.end_trial() == again.end_trial()
    a, b = (s.push(signal[:, :300])[-1] for s in (stream, again))
    assert (a.label, a.probability) == (b.label, b.probability)


def test_a_state_is_a_copy(recurrent):
    signal = later()[0][0, :-1]
    stream = recurrent.stream()
    stream.push(signal[:, :333])
    state = stream.state()
    before = pickle.dumps(state)
    stream.push(signal[:, 333:])
    stream.end_trial()
    assert pickle.dumps(state) == before


def test_a_state_of_another_model_is_refused(model):
    stream = NerveStream(model)
    stream.push(np.ones((8, 30)))
    X = np.random.default_rng(0).normal(size=(12, 3, 200))
    other = WindowClassifier(sfreq=SFREQ).fit(X, np.arange(12) % 2)
    with pytest.raises(ValueError, match="state .*8 channels.* 3"):
        NerveStream(other, state=stream.state())
    with pytest.raises(ValueError, match="state must be .*NerveStream.state"):
        NerveStream(model, state={"n_seen": 3})


def longer(trial, n_times):
    """Channels of a trial whose movement is held for longer."""
    return np.concatenate([trial[:-1], *8 * [trial[:-1, 250:]]], axis=1)[:, :n_times]


def test_trials_of_any_length_are_decided_as_a_whole():
    model, (X, y) = first_day(classifier, "online", session_model=True), day(1)
    for n_times in (800, 1000, 1800):  # of 600 in training
        stream, right = NerveStream(model), []
        for trial, label in zip(X[:20], y, strict=False):
            stream.push(longer(trial, n_times))
            right.append(stream.end_trial() == label)
        assert np.mean(right) >= 0.95


def test_a_label_at_the_end_of_a_long_trial_is_learned():
    model, (X, y) = first_day(classifier, "online", session_model=True), day(1)
    stream = NerveStream(model)
    for trial, label in zip(X[:3], y, strict=False):
        stream.push(longer(trial, 2400))
        again = NerveStream(model, state=stream.state())
        assert stream.end_trial(label) == again.end_trial(label) == label
    assert set(stream.session.sorter.labels) == set(y[:3])


# ---------------------------------------------------------------------- what goes wrong


def test_a_gap_is_reported_and_windows_begin_anew(model, recurrent):
    X, _ = later()
    a, b = X[0, :-1, :270], X[1, :-1, :400]
    for each in (model, recurrent):
        stream = NerveStream(each)
        stream.push(a, time=0.0)
        after = stream.push(b, time=0.5)
        assert stream.gaps == [(pytest.approx(0.27), 0.5)]
        ends = NerveFeatures(sfreq=SFREQ, hop=HOP).window_ends(400)
        np.testing.assert_allclose([d.time for d in after], 0.5 + ends)
        assert stream.time == pytest.approx(0.9)
    fresh = NerveStream(model).push(b)  # windows hold nothing of before the gap
    stream = NerveStream(model)
    stream.push(a)
    assert [d.probability for d in stream.push(b, time=1.0)] == [d.probability for d in fresh]


def test_jitter_of_less_than_half_a_sample_is_no_gap(model):
    signal = later()[0][0, :-1]
    stream = NerveStream(model)
    stream.push(signal[:, :200], time=5.0)
    stream.push(signal[:, 200:], time=5.2 + 0.4 / SFREQ)
    assert stream.gaps == []


@pytest.mark.parametrize("time", [0.1, np.nan, np.inf, -1.0])
def test_time_does_not_go_back(model, time):
    stream = NerveStream(model)
    stream.push(np.ones((8, 200)), time=0.0)
    with pytest.raises(ValueError, match="time must not go back: samples up to 0.2 s .* Got"):
        stream.push(np.ones((8, 10)), time=time)
    assert stream.time == pytest.approx(0.2)


def test_time_is_a_number(model):
    with pytest.raises((TypeError, ValueError), match="time must be a number.*Got 'now'"):
        NerveStream(model).push(np.ones((8, 10)), time="now")


def test_nan_withholds_decisions_and_the_stream_goes_on(recurrent):
    signal = np.concatenate(list(later()[0][:3, :-1]), axis=1).astype(float)
    signal[:, 500] = np.nan
    stream = recurrent.stream()
    decisions = stream.push(signal)
    ends = np.array([d.time for d in decisions]) * SFREQ
    held = (ends > 500) & (ends - 0.1 * SFREQ <= 500)
    assert [d.reason for d in decisions] == np.where(held, "NaN", "").tolist()
    assert all((d.label is None) == (d.reason == "NaN") for d in decisions)
    assert all(np.isfinite(d.probability) for d in decisions if d.reason == "")
    assert stream.end_trial() in recurrent.classes_


def test_one_electrode_withholds_nothing(model):
    signal = np.concatenate(list(later()[0][:3, :-1]), axis=1).astype(float)
    signal[3, 500:700] = np.nan
    decisions = NerveStream(model).push(signal)
    assert all(d.label is not None for d in decisions)
    assert {d.flagged for d in decisions} == {(), (3,)}


def test_movements_are_predicted_forward_where_data_are_missing():
    signal = np.concatenate(list(later()[0][:2, :-1]), axis=1).astype(float)
    signal[:, 400:420] = np.nan
    for cls in REGRESSORS:
        decisions = NerveStream(first_day(cls)).push(signal)
        missing = [d for d in decisions if d.reason == "NaN"]
        assert missing and all(np.isfinite(d.label).all() for d in decisions)


def test_a_majority_and_its_changes(model):
    X, _ = later()
    signal = np.concatenate(list(X[:6, :-1]), axis=1)
    plain, smooth, events = (
        NerveStream(model, decisions=kind).push(signal) for kind in ("window", "smoothed", "event")
    )
    labels = [d.label for d in smooth]
    assert len(plain) == len(smooth)
    changes = [a for a, b in zip(labels, [None, *labels], strict=False) if a != b]
    assert [d.label for d in events] == changes
    assert sum(a != b for a, b in pairwise(labels)) <= sum(
        a.label != b.label for a, b in pairwise(plain)
    )
    for wrong in ({"decisions": "often"}, {"n_votes": 0}, {"deadband": -1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            NerveStream(model, **wrong)


def test_a_deadband_keeps_movements_still():
    model = first_day(WindowRegressor)
    signal = np.concatenate(list(later()[0][:2, :-1]), axis=1)
    plain, still = (NerveStream(model, deadband=band).push(signal) for band in (0.0, 0.3))
    moves = [len({tuple(np.round(d.label, 9)) for d in each}) for each in (plain, still)]
    assert moves[1] < moves[0]
    away = [np.abs(a.label - b.label).max() for a, b in zip(plain, still, strict=True)]
    assert max(away) <= 0.3


def test_a_stream_in_another_unit_is_told_once(model):
    stream, signal = NerveStream(model), later()[0][0, :-1]
    stream.push(0.0 * signal[:, :150])  # not connected yet
    with pytest.warns(UserWarning, match="signal-units"):
        stream.push(500 * signal)
    stream.push(500 * signal)  # warnings are errors here


def test_a_session_that_fails_is_told_once_unless_labels_come():
    model = first_day(classifier, adaptation="online", session_model=True)
    X, y = day(2)
    X = X[:, -2::-1]  # electrodes in reverse order
    said = []
    for known in (False, True):
        stream = NerveStream(model)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for i, (x, label) in enumerate(zip(X, y, strict=True)):
                if i == 30:
                    stream = NerveStream(model, state=stream.state())
                stream.push(x)
                stream.end_trial(label if known else None)
        said.append([str(w.message) for w in caught])
    assert len(said[0]) == 1 and "doubtful-session" in said[0][0]
    assert not said[1]


def test_flat_and_saturated_channels_are_flagged(model):
    signal = later()[0][0, :-1].astype(float)
    signal[2] = 0.0
    signal[5] = np.clip(20 * signal[5], -4.0, 4.0)
    top = np.abs(np.delete(signal, 5, axis=0)).max() + 1
    signal[5] *= top / 4.0
    plain = NerveStream(model).push(signal)
    assert {d.flagged for d in plain} == {(2,)}
    flagged = NerveStream(model, saturation=top).push(signal)
    assert {d.flagged for d in flagged} == {(2, 5)}
    assert [d.label for d in flagged] == [d.label for d in plain]


def test_uncertain_decisions_are_withheld(model):
    signal = later()[0][0, :-1]
    plain = NerveStream(model).push(signal)
    limit = float(np.median([d.probability for d in plain]))
    held = NerveStream(model, confidence=limit).push(signal)
    assert {d.reason for d in held} == {"", "uncertain"}
    for a, b in zip(plain, held, strict=True):
        assert b.label == (None if a.probability < limit else a.label)
        assert b.probability == a.probability


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        (np.ones((7, 10)), r"shape \(8, n_samples\).* Got \(7, 10\)"),
        (np.ones((9, 10)), r"shape \(8, n_samples\)"),  # with the session's row
        (np.ones(8), r"Got \(8,\)"),
        (np.ones((1, 8, 10)), r"Got \(1, 8, 10\)"),
        (np.full((8, 10), np.inf), "infinity"),
        (np.ones((8, 10)) * 1j, "real numbers. Got dtype complex128"),
        (np.full((8, 10), "a"), "real numbers. Got dtype"),
    ],
)
def test_chunks_that_are_none(model, chunk, message):
    stream = NerveStream(model)
    with pytest.raises(ValueError, match=message):
        stream.push(chunk)
    assert stream.time == 0.0
    assert len(stream.push(np.ones((8, 100)))) == 1


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"confidence": 1.5}, "confidence must be between 0 and 1. Got 1.5"),
        ({"confidence": np.nan}, "confidence must be between 0 and 1. Got nan"),
        ({"saturation": 0.0}, "saturation must be positive or None. Got 0.0"),
        ({"saturation": -1}, "saturation must be positive or None. Got -1"),
    ],
)
def test_bad_settings_of_a_stream(model, params, message):
    with pytest.raises(ValueError, match=message):
        NerveStream(model, **params)


def test_models_that_cannot_stream():
    X, y = np.random.default_rng(0).normal(size=(12, 4)), np.arange(12) % 3
    with pytest.raises(ValueError, match="A stream takes raw signals: fit with sfreq"):
        NerveStream(WindowClassifier().fit(X, y))
    with pytest.raises(ValueError, match="not fitted yet"):
        NerveStream(WindowClassifier(sfreq=10.0))


def test_no_window_no_label(model):
    stream = NerveStream(model)
    assert stream.push(np.ones((8, 99))) == [] and stream.push(np.ones((8, 0))) == []
    assert stream.end_trial() is None


# ---------------------------------------------------------------------- memory


def test_labels_are_remembered_longer_than_trials_without(monkeypatch):
    monkeypatch.setattr(_kept, "SETTINGS", replace(_kept.SETTINGS, remembered=8))
    model, (X, y) = first_day(classifier, "online", session_model=True), later()
    stream = NerveStream(model)
    for k, trial in enumerate(X[:14]):
        stream.push(trial[:-1])
        stream.end_trial(y[k] if k < 2 else None)
    labels = stream.session.sorter.labels
    assert [label >= 0 for label in labels] == [True, True] + 6 * [False]


def test_memory_does_not_grow(monkeypatch):
    monkeypatch.setattr(_kept, "SETTINGS", replace(_kept.SETTINGS, remembered=3))
    few = replace(_losing.SETTINGS, remembered_windows=3)
    monkeypatch.setattr(_losing, "SETTINGS", few)
    few_latencies = replace(stream_module.SETTINGS, latencies=20)
    monkeypatch.setattr(stream_module, "SETTINGS", few_latencies)
    model = first_day(decoder, "online")
    stream, sizes = model.stream(), []
    for trial in np.concatenate([later()[0]] * 2):
        for part in np.array_split(trial[:-1], 4, axis=1):
            stream.push(part)
            assert stream.buffer.shape[1] <= 100
        stream.end_trial()
        assert len(stream.latencies) <= 40
        sizes.append(len(pickle.dumps(stream.state())))
    assert max(sizes[4:]) == min(sizes[4:])


def test_only_the_last_gaps_are_kept(model):
    stream = NerveStream(model)
    for k in range(150):
        stream.push(np.ones((8, 10)), time=float(k))
    assert len(stream.gaps) == 100 and stream.gaps[-1] == (pytest.approx(148.01), 149.0)


def test_a_filter_forgets_at_the_end_of_a_trial():
    model = first_day(KalmanRegressor)
    stream, trial = NerveStream(model), later()[0][0, :-1]
    one = stream.push(trial)
    stream.end_trial()
    two = stream.push(trial)
    np.testing.assert_array_equal([d.label for d in one], [d.label for d in two])
