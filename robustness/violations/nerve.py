"""What users of nerve decoders do to signals, electrodes, sessions and labels."""

from functools import cache

import numpy as np

from sklearn_meg import (
    NerveDecoder,
    NerveFeatures,
    NerveRegressor,
    WindowClassifier,
    WindowRegressor,
)
from sklearn_meg.datasets import make_nerve
from sklearn_meg.nerve import NerveStream

from .record import Answer, flag_of, fresh, remembered, violation

SFREQ, N_CHANNELS = 1000.0, 8
PARAMS = {"sfreq": SFREQ, "hop": 0.05, "session_row": -1}


@cache
def _raw(seed):
    return make_nerve(
        (0, 1), n_train=8, n_test=6, n_channels=N_CHANNELS, duration=0.6, sfreq=SFREQ, noise=0.2,
        random_state=seed,
    )  # fmt: skip


@cache
def _data(seed):
    """Training trials of one day; the same day again, and another one, with a drift."""
    data = _raw(seed)
    return [(data.X[data.session == s].copy(), data.y[data.session == s]) for s in range(3)]


@remembered
def _model(seed, adaptation="batch"):
    X, y = _data(seed)[0]
    return WindowClassifier(**PARAMS, adaptation=adaptation, session_model=True).fit(X, y)


def _wrong(model, X, y, tolerance=0.15):
    return Answer(np.mean(model.predict(X) != y), tolerance)


def _new_day(seed):
    X, y = _data(seed)[2]
    return X.copy(), y


def _refitted(X, y, seed):
    """A model of changed training trials decides the new day."""
    model = WindowClassifier(**PARAMS, adaptation="batch", session_model=True).fit(X, y)
    return _wrong(model, *_new_day(seed))


@violation("volt instead of microvolt", right="85 % of trials right")
def volts(seed, broken):
    """The recording to be decoded is in volts."""
    X, y = _new_day(seed)
    X[:, :-1] *= 1e-6 if broken else 1
    return _wrong(_model(seed, None), X, y, 0.2)


@violation("an amplifier with another gain", right="85 % of trials right")
def gain(seed, broken):
    """All channels come ten times as large as in training; nothing adapts."""
    X, y = _data(seed)[1]
    X = X * np.r_[np.full(N_CHANNELS, 10.0 if broken else 1.0), 1][:, np.newaxis]
    return _wrong(_model(seed, None), X, y)


@violation("a channel that is dead", right="85 % of trials right")
def dead_channel(seed, broken):
    """One channel is zero throughout."""
    X, y = _data(seed)[1]
    X = X.copy()
    if broken:
        X[:, 3] = 0
    return _wrong(_model(seed, None), X, y)


@violation("a channel that is noise", right="85 % of trials right")
def noisy_channel(seed, broken):
    """An electrode has come off: its channel is white noise, three times as large as before."""
    X, y = _new_day(seed)
    if broken:
        X[:, 3] = 3 * X[:, 3].std() * np.random.default_rng(seed).normal(size=X[:, 3].shape)
    return _wrong(_model(seed), X, y)


@violation("noise in a channel, nothing adapts", right="85 % of trials right")
def noisy_channel_without_adaptation(seed, broken):
    """An electrode has come off, and the decoder does not adapt."""
    X, y = _data(seed)[1]
    X = X.copy()
    if broken:
        X[:, 3] = 10 * X[:, 3].std() * np.random.default_rng(seed).normal(size=X[:, 3].shape)
    return _wrong(_model(seed, None), X, y)


@violation("electrodes in reverse order", right="80 % of trials right")
def reversed_electrodes(seed, broken):
    """The array is put on the other way round."""
    X, y = _new_day(seed)
    if broken:
        X[:, :-1] = X[:, -2::-1]
    return _wrong(_model(seed), X, y, 0.2)


@violation("electrodes in reverse order, in a stream", right="80 % of trials right")
def reversed_in_stream(seed, broken):
    """The array is put on the other way round, and trials are decided as they come."""
    X, y = _new_day(seed)
    if broken:
        X[:, :-1] = X[:, -2::-1]
    stream, right = NerveStream(_model(seed)), []
    for i in np.random.default_rng(seed).permutation(len(y)):
        stream.push(X[i, :-1])
        right.append(stream.end_trial() == y[i])
    return Answer(1 - np.mean(right), 0.2)


@violation("all cables mixed", right="80 % of trials right")
def mixed_cables(seed, broken):
    """Channels come in a random order."""
    X, y = _new_day(seed)
    if broken:
        X[:, :-1] = X[:, np.random.default_rng(seed).permutation(N_CHANNELS)]
    return _wrong(_model(seed), X, y, 0.2)


@violation("a session that is mostly rest", right="80 % of trials right")
def rest_heavy(seed, broken):
    """Two thirds of the trials of a new day are of one gesture."""
    X, y = _new_day(seed)
    if broken:
        one = np.flatnonzero(y == 0)
        copies = X[np.random.default_rng(seed).choice(one, (120, 2))]
        mixed = np.concatenate([copies[:, 0, :, :300], copies[:, 1, :, 300:]], axis=2)
        X, y = np.concatenate([X, mixed]), np.concatenate([y, np.zeros(120, dtype=y.dtype)])
    return _wrong(_model(seed), X, y, 0.2)


@violation("a session of one gesture only", right="80 % of trials right")
def one_gesture(seed, broken):
    """Trials of a new day are all of the same gesture, twenty of them."""
    X, y = _new_day(seed)
    if broken:
        half = X.shape[2] // 2
        pairs = X[np.random.default_rng(seed).choice(np.flatnonzero(y == 4), (20, 2))]
        X = np.concatenate([pairs[:, 0, :, :half], pairs[:, 1, :, half:]], axis=2)
        y = np.full(20, 4)
    return _wrong(_model(seed), X, y, 0.2)


@violation("gestures that were never trained", right="told by is_unusual")
def unseen_gesture(seed, broken):
    """Wrist movements were left out in training, and are made now."""
    X, y = _data(seed)[0]
    known = y < 8
    model = WindowClassifier(**PARAMS, session_model=True).fit(X[known], y[known])
    X, y = _data(seed)[1]
    new = y >= 8 if broken else y < 8
    wrong = np.mean(model.predict(X[new]) != y[new])
    return Answer(wrong, 0.15, flag_of(model.is_unusual(X[new], rate=0.1)))


@violation("a quarter of the labels wrong", right="80 % of trials right")
def label_noise(seed, broken):
    """A quarter of the training trials have a random label."""
    X, y = _data(seed)[0]
    rng, y = np.random.default_rng(seed), y.copy()
    if broken:
        wrong = rng.random(len(y)) < 0.25
        y[wrong] = rng.integers(0, 10, wrong.sum())
    return _refitted(X, y, seed)


@violation("labels of other trials", right="warned of")
def shuffled_labels(seed, broken):
    """The list of labels is sorted, the trials are not."""
    X, y = _data(seed)[0]
    order = np.random.default_rng(seed).permutation(len(y))
    return _refitted(X[order], np.sort(y) if broken else y[order], seed)


@violation("trials twice in training", right="warned of")
def copied_trials(seed, broken):
    """Two files with the same trials are read, and half of them are copies."""
    X, y = _data(seed)[0]
    if broken:
        X, y = np.concatenate([X, X]), np.concatenate([y, y])
    model = WindowClassifier(**PARAMS, adaptation="batch", session_model=True).fit(X, y)
    new, _ = _new_day(seed)
    change = np.abs(model.predict_proba(new) - _model(seed).predict_proba(new)).max()
    return Answer(change, 0.05)


@violation("ten times more of one gesture in training", right="80 % of trials right")
def imbalance(seed, broken):
    """Nine of ten gestures have two trials each, one has eight."""
    X, y = _data(seed)[0]
    if broken:
        order = np.argsort(y, kind="stable")
        place = np.arange(len(y)) - np.searchsorted(y[order], y[order])
        kept = order[(place < 3) | (y[order] == 0)]
        X, y = X[kept], y[kept]
    return _refitted(X, y, seed)


@violation("a sampling rate read wrong", right="80 % of trials right")
def wrong_rate(seed, broken):
    """The new day was recorded at half the rate; nobody says so."""
    X, y = _new_day(seed)
    if broken:
        X = np.concatenate([X[:, :, ::2]] * 2, axis=2)
    return _wrong(_model(seed), X, y, 0.2)


@violation("trials cut at another time", right="80 % of trials right")
def shifted(seed, broken):
    """Trials of the new day begin .2 s before their trigger, and end that much earlier."""
    X, y = _new_day(seed)
    if broken:
        X[:, :-1] = np.roll(X[:, :-1], 200, axis=2)
    return _wrong(_model(seed), X, y, 0.2)


@violation("a saturated amplifier", right="80 % of trials right")
def saturated(seed, broken):
    """The amplifier of the new day cuts off at half a standard deviation."""
    X, y = _new_day(seed)
    if broken:
        limit = 0.5 * X[:, :-1].std()
        X[:, :-1] = np.clip(X[:, :-1], -limit, limit)
    return _wrong(_model(seed), X, y, 0.2)


@violation("mains hum", right="80 % of trials right")
def hum(seed, broken):
    """A hum of 50 Hz, three times as large as the signal, is in all channels of the new day."""
    X, y = _new_day(seed)
    if broken:
        phase = np.random.default_rng(seed).uniform(0, 6.28, (len(X), 1, 1))
        time = np.arange(X.shape[2]) / SFREQ
        X[:, :-1] += 3 * X[:, :-1].std() * np.sin(2 * np.pi * 50 * time + phase)
    return _wrong(_model(seed), X, y, 0.2)


@violation("stretches of NaN", right="refused")
def missing(seed, broken):
    """Packets were lost, and their samples are NaN."""
    X, y = _new_day(seed)
    if broken:
        X[:, :-1, 100:140] = np.nan
    return _wrong(_model(seed), X, y, 0.2)


@violation("trials whose ends nobody marks", right="80 % of windows of held gestures right")
def unmarked_ends(seed, broken):
    """A stream gets one trial after the other, but never its end."""
    X, y = _new_day(seed)
    stream, right = NerveStream(_model(seed, "online")), []
    for trial, label in zip(X, y, strict=True):
        decisions = stream.push(trial[:-1])
        right += [d.label == label for d in decisions[-4:]]
        if not broken:
            stream.end_trial()
    return Answer(1 - np.mean(right), 0.2)


@violation("a new day under the number of an old one", right="80 % of trials right")
def old_number(seed, broken):
    """A later day, with other gains of the channels, gets the session number of training."""
    X, y = _new_day(seed)
    X[:, :-1] *= np.exp(0.5 * np.random.default_rng(seed).normal(size=(N_CHANNELS, 1)))
    if broken:
        X[:, -1] = 0
    return _wrong(_model(seed), X, y, 0.2)


def _unnumbered(seed, broken):
    """Trials of the day of training, or of a later one with other gains, without their session."""
    X, y = _data(seed)[2 if broken else 1]
    gains = np.exp(0.3 * np.random.default_rng(seed).normal(size=(N_CHANNELS, 1)))
    return X[:, :-1] * (gains if broken else 1), y


@violation("days that nobody numbers", right="80 % of trials right")
def unnumbered(seed, broken):
    """A decoder of one day is used on a later one, and is not told so."""
    X, y = _data(seed)[0]
    model = WindowClassifier(sfreq=SFREQ, hop=0.05, session_model=True).fit(X[:, :-1], y)
    return _wrong(model, *_unnumbered(seed, broken), 0.2)


@violation("days that nobody numbers, movements", right="half of the variance explained")
def unnumbered_movements(seed, broken):
    """A regressor of one day is used on a later one, and is not told so."""
    data = _raw(seed)
    Y = NerveFeatures(sfreq=SFREQ, hop=0.05).at_windows(data.dof)
    first, later = data.session == 0, data.session == (2 if broken else 1)
    model = WindowRegressor(sfreq=SFREQ, hop=0.05).fit(data.X[first, :-1], Y[first])
    return Answer(1 - model.score(_unnumbered(seed, broken)[0], Y[later]), 0.5)


@violation("rectified signals", right="80 % of trials right")
def rectified(seed, broken):
    """The new day is exported as envelopes."""
    X, y = _new_day(seed)
    if broken:
        X[:, :-1] = np.abs(X[:, :-1])
    return _wrong(_model(seed), X, y, 0.2)


@violation("channels and time swapped", right="refused")
def transposed(seed, broken):
    """Trials come as time x channels."""
    X, y = _new_day(seed)
    return _wrong(_model(seed), X.transpose(0, 2, 1) if broken else X, y, 0.2)


@violation("trials of unequal length", right="80 % of trials right")
def ragged(seed, broken):
    """Trials come as a list of arrays that end when the movement does."""
    X, y = _new_day(seed)
    trials = [trial[:, : 600 - 7 * (k % 9)] for k, trial in enumerate(X)] if broken else X
    return _wrong(_model(seed), trials, y, 0.2)


@violation("raw signals without a sampling rate", right="warned of")
def raw_as_features(seed, broken):
    """Signals are given without `sfreq`, and taken for features."""
    X, y = _data(seed)[0]
    new, y_new = _data(seed)[1]
    if not broken:
        return _wrong(_model(seed), new, y_new, 0.2)
    model = WindowClassifier(session_row=-1, adaptation="batch").fit(X, y)
    return _wrong(model, new, y_new, 0.05)


@fresh("NerveDecoder")
def same_day(seed):
    """Later trials of the day of training."""
    X, y = _data(seed)[0]
    model = NerveDecoder(**PARAMS, max_epochs=1, hidden_size=8, random_state=0).fit(X, y)
    return model, _data(seed)[1][0]


@fresh("NerveRegressor")
def same_movements(seed):
    """Later trials of the day of training, of which movements are to be told."""
    data = make_nerve(
        (0,), n_train=8, n_test=6, n_channels=N_CHANNELS, duration=0.6, sfreq=SFREQ, noise=0.2,
        random_state=seed,
    )  # fmt: skip
    y = NerveFeatures(sfreq=SFREQ, hop=0.05).at_windows(data.dof)
    train = data.session == 0
    params = {**PARAMS, "max_epochs": 1, "hidden_size": 8, "boosting": False, "random_state": 0}
    return NerveRegressor(**params).fit(data.X[train], y[train]), data.X[~train]
