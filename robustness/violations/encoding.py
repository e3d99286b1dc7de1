"""What users of encoders do to stimuli and recordings."""

from functools import cache

import numpy as np

from sklearn_meg import (
    DeepRecurrentEncoder,
    RecurrentTRF,
    TemporalReceptiveField,
    pack_rows,
    to_trials,
)
from sklearn_meg.metrics import r_over_time

from .record import Answer, flag_of, fresh, violation

N_TRIALS, N_TIMES = 40, 60
TRAIN, TEST = slice(None, N_TRIALS), slice(N_TRIALS, None)


@cache
def _world(seed):
    """Features and what follows them by 0 and 3 samples in four channels."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(2 * N_TRIALS, 2, N_TIMES))
    X[:, 1] = 0.6 * X[:, 1] - 0.8 * X[:, 0]  # as length and frequency of words are correlated
    y = _responses(X) @ np.ones(1)
    return X, y + rng.normal(size=y.shape)


def _responses(X):
    delayed = np.concatenate([np.zeros_like(X[..., :3]), X[..., :-3]], axis=2)
    weights = np.array([[1.0, -0.5, 0.3, 0.8], [0.5, 1.0, -1.0, 0.2]])
    return np.einsum("nft,fc->nct", X + delayed, weights)[..., np.newaxis]


@cache
def _events(seed):
    """Trials around one event: an onset and a length; responses after 3 to 8 samples."""
    rng = np.random.default_rng(seed)
    X = np.zeros((2 * N_TRIALS, 2, N_TIMES))
    X[:, 0, 15:20] = 1
    X[:, 1, 15:20] = rng.normal(size=(len(X), 1))
    shape = np.convolve(np.arange(N_TIMES) == 15, [0, 0, 0, 1, 2, 3, 2, 1])[:N_TIMES]
    amplitudes = (2 + X[:, 1, 15])[:, np.newaxis] * np.array([1.0, -1.0, 0.5])
    y = amplitudes[:, :, np.newaxis] * shape
    return X, y + 0.7 * rng.normal(size=y.shape)


@cache
def _subjects(seed):
    """Two subjects of other topographies and noise; the initial MEG is known."""
    rng = np.random.default_rng(seed)
    X, y = _world(seed)
    subjects = np.arange(len(X)) % 2
    gains = np.array([[1.0, 0.2, 1.0, 0.2], [0.2, 1.0, 0.2, 1.0]])[subjects][:, :, np.newaxis]
    y = gains * (y + np.cumsum(0.2 * rng.normal(size=y.shape), axis=2))
    X, rows = pack_rows(X, subjects=subjects, initial=y, n_initial=12)
    return X, y, rows, RecurrentTRF(tmax=5, n_past=4, **rows).fit(X[TRAIN], y[TRAIN])


def _fitted(world, seed, **params):
    X, y = world(seed)
    return TemporalReceptiveField(**{"tmax": 8, **params}).fit(X[TRAIN], y[TRAIN])


def _lost(model, X, y, clean=None, flag=None, tolerance=0.03, start=0):
    """Drop of R on trials against that of a model on clean ones."""
    reference_model, X_clean = clean
    before = r_over_time(y, reference_model.predict(X_clean), start=start)
    after = r_over_time(y, model.predict(X), start=start)
    return Answer(before - after, tolerance, flag)


def _in_test(world, seed, spoiled):
    """A model fitted to clean trials is asked about spoiled ones."""
    model, (X, y) = _fitted(world, seed), world(seed)
    flag = flag_of(model.is_unusual(spoiled))
    return _lost(model, spoiled, y[TEST], (model, X[TEST]), flag)


def _in_training(seed, X_train, y_train, **params):
    """A model fitted to spoiled trials is asked about clean ones."""
    X, y = _world(seed)
    model = TemporalReceptiveField(**{"tmax": 8, **params}).fit(X_train, y_train)
    flag = "cv_scores_" if model.cv_scores_.mean(axis=0).max() < 0.01 else None
    return _lost(model, X[TEST], y[TEST], (_fitted(_world, seed), X[TEST]), flag)


@violation("features of 1e-9", right="R within .03 of that with features of 1")
def tiny_features(seed, broken):
    """Features are in Tesla, say, and nobody scaled them."""
    X, y = _world(seed)
    X = 1e-9 * X if broken else X
    model = TemporalReceptiveField(tmax=8).fit(X[TRAIN], y[TRAIN])
    return _lost(model, X[TEST], y[TEST], (_fitted(_world, seed), _world(seed)[0][TEST]))


@violation("a feature that is constant", right="R within .03 of that without it")
def constant_feature(seed, broken):
    """A column of the design is the intercept."""
    X, y = _world(seed)
    more = np.concatenate([X, np.full_like(X[:, :1], 3.0)], axis=1) if broken else X
    model = TemporalReceptiveField(tmax=8).fit(more[TRAIN], y[TRAIN])
    return _lost(model, more[TEST], y[TEST], (_fitted(_world, seed), X[TEST]))


@violation("a constant added to a feature", right="R within .03 of that without it")
def offset_of_a_feature(seed, broken):
    """A feature is not centered: 4 is added to it in all trials."""
    X, y = _world(seed)
    moved = X + 4.0 if broken else X
    model = TemporalReceptiveField(tmax=8).fit(moved[TRAIN], y[TRAIN])
    return _lost(model, moved[TEST], y[TEST], (_fitted(_world, seed), X[TEST]))


@violation("other units of a feature in new trials", right="R within .03 of the same units")
def other_units(seed, broken):
    """Loudness is in Pascal in training and in millipascal afterwards."""
    X = _world(seed)[0][TEST] * ([[1.0], [1e3]] if broken else 1.0)
    return _in_test(_world, seed, X)


@violation("a feature with the wrong sign in new trials", right="R within .03 of the right sign")
def flipped_feature(seed, broken):
    """Word frequency becomes word rarity."""
    X = _world(seed)[0][TEST] * ([[1.0], [-1.0]] if broken else 1.0)
    return _in_test(_world, seed, X)


@violation("a feature that is constant in new trials", right="R within .03 of the true feature")
def feature_lost_in_new_trials(seed, broken):
    """A column of the table of the second session was never filled in."""
    X = _world(seed)[0][TEST].copy()
    if broken:
        X[:, 1] = 0.0
    return _in_test(_world, seed, X)


@violation("features in another order in new trials", right="R within .03 of the right order")
def features_swapped(seed, broken):
    """Columns are sorted by name in training, and as they come afterwards."""
    X = _events(seed)[0][TEST]
    return _in_test(_events, seed, X[:, ::-1] if broken else X)


@violation("new trials that begin one sample earlier", right="R within .03 of those in time")
def shifted_by_one(seed, broken):
    """Samples are counted from 1 in one program and from 0 in the other."""
    X = _events(seed)[0][TEST]
    return _in_test(_events, seed, np.roll(X, 1, axis=2) if broken else X)


@violation("new trials at another sampling rate", right="R within .03 of the right rate")
def other_sampling_rate(seed, broken):
    """The stimulus of new trials is at half the rate, and cut to the length."""
    X = _world(seed)[0][TEST]
    return _in_test(_world, seed, np.repeat(X, 2, axis=2)[..., :N_TIMES] if broken else X)


@violation("a sampling rate that was read wrong", right="an error, or R within .03")
def wrong_sfreq(seed, broken):
    """`sfreq` is in kHz where the lags are in seconds."""
    X, y = _world(seed)
    return _in_training(seed, X[TRAIN], y[TRAIN], tmax=0.08, sfreq=0.1 if broken else 100.0)


@violation("trials that are there twice", right="no copies")
def repeated_trials(seed, broken):
    """Two files with the same trials are read: held-out trials have copies in training."""
    X, y = (part[TRAIN] for part in _world(seed))
    if broken:
        X, y = np.concatenate([X, X]), np.concatenate([y, y])
    TemporalReceptiveField(tmax=8).fit(X, y)
    return Answer(float(broken), 0.0)


@violation("test trials among those of training", right="no copies")
def leaked_trials(seed, broken):
    """A recording and its cleaned copy are joined, and folds drawn at random from both."""
    X, y = _world(seed)
    order = np.random.default_rng(seed).permutation(2 * len(X) if broken else len(X)) % len(X)
    train = order[: len(order) // 2]
    TemporalReceptiveField(tmax=8).fit(X[train], y[train])
    return Answer(float(broken), 0.0)


@violation("a dead channel", right="R of the other channels within .03")
def dead_channel(seed, broken):
    """A channel of y is zero throughout."""
    X, y = _world(seed)
    dead = y.copy()
    if broken:
        dead[:, 2] = 0.0
    model = TemporalReceptiveField(tmax=8).fit(X[TRAIN], dead[TRAIN])
    kept, predicted = [0, 1, 3], model.predict(X[TEST])
    before = _fitted(_world, seed).predict(X[TEST])
    r = [r_over_time(y[TEST][:, kept], p[:, kept]) for p in (before, predicted)]
    return Answer(r[0] - r[1], 0.03)


@violation("spikes in some trials", right="R within .03 of that without them")
def spikes(seed, broken):
    """The amplifier saturates in two trials."""
    X, y = (part[TRAIN] for part in _world(seed))
    y = y.copy()
    if broken:
        y[[3, 31], :, 20] += 2000.0
    return _in_training(seed, X, y)


@violation("trials filled up with zeros", right="R within .03 of the true lengths")
def padded_trials(seed, broken):
    """Trials of unequal length are filled up with zeros, and no mask is given."""
    X, y = (part[TRAIN] for part in _world(seed))
    y = y.copy()
    if broken:
        for trial, length in zip(y, np.random.default_rng(seed).integers(15, 55, len(y))):
            trial[:, length:] = 0.0
    return _in_training(seed, X, y)


@violation("responses of other trials", right="R within .03 of the right trials")
def shuffled_trials(seed, broken):
    """The order of trials is another in the table of features than in the recording."""
    X, y = (part[TRAIN] for part in _world(seed))
    order = np.random.default_rng(seed).permutation(len(y))
    return _in_training(seed, X, y[order] if broken else y)


@violation("NaN in the recording", right="an error")
def missing_samples(seed, broken):
    """Rejected stretches are NaN."""
    X, y = (part[TRAIN] for part in _world(seed))
    y = y.copy()
    if broken:
        y[4, :, 10:20] = np.nan
    return _in_training(seed, X, y)


@violation("time and trials swapped", right="an error, or what to_trials gives")
def time_first(seed, broken):
    """Arrays are in the layout of another toolbox, times on axis 0."""
    X, y = (part[TRAIN] for part in _world(seed))
    if broken:
        X, y = (part.transpose(2, 0, 1) for part in (X, y))
        X, y = to_trials(X), to_trials(y)
    return _in_training(seed, X, y)


@violation("channels in other units each", right="R within .03 of equal units")
def mixed_channels(seed, broken):
    """Magnetometers, gradiometers and electrodes are in one array."""
    X, y = _world(seed)
    units = np.array([1e-15, 1e-13, 1e-6, 1.0])[:, np.newaxis] if broken else 1.0
    model = TemporalReceptiveField(tmax=8).fit(X[TRAIN], units * y[TRAIN])
    before = r_over_time(y[TEST], _fitted(_world, seed).predict(X[TEST]))
    return Answer(before - r_over_time(units * y[TEST], model.predict(X[TEST])), 0.03)


@violation("subjects whose labels are swapped", right="R within .03 of the right labels")
def swapped_subjects(seed, broken):
    """In new trials subject 0 is called 1, and 1 is called 0."""
    X, y, rows, model = _subjects(seed)
    X = X[TEST].copy()
    clean = X.copy()
    if broken:
        X[:, rows["subject_row"]] = 1 - X[:, rows["subject_row"]]
    return _lost(model, X, y[TEST], (model, clean), flag_of(model.is_unusual(X)), start=12)


@violation("a subject that was not in training", right="R above that of the mean")
def unseen_subject(seed, broken):
    """New trials are of a third subject, who is like the others."""
    X, y, rows, model = _subjects(seed)
    X = X[TEST].copy()
    if broken:
        X[:, rows["subject_row"]] = 2
    after = r_over_time(y[TEST], model.predict(X), start=12)
    return Answer(-after, -0.05, flag_of(model.is_unusual(X)))


@violation("an initial MEG that is missing", right="R within .03 of the right one")
def missing_beginning(seed, broken):
    """The initial MEG of new trials is zero."""
    X, y, rows, model = _subjects(seed)
    X = X[TEST].copy()
    clean = X.copy()
    if broken:
        X[:, rows["initial_rows"]] = 0.0
    return _lost(model, X, y[TEST], (model, clean), flag_of(model.is_unusual(X)), start=12)


@violation("an initial MEG in other units", right="R within .03 of the right one")
def beginning_in_other_units(seed, broken):
    """The initial MEG of new trials is in fT, that of training was in T."""
    X, y, rows, model = _subjects(seed)
    X = X[TEST].copy()
    clean = X.copy()
    if broken:
        X[:, rows["initial_rows"]] *= 1e15
    return _lost(model, X, y[TEST], (model, clean), flag_of(model.is_unusual(X)), start=12)


@fresh("TemporalReceptiveField")
def fresh_trials(seed):
    """Trials of continuous features."""
    return _fitted(_world, seed), _world(seed)[0][TEST]


@fresh("RecurrentTRF")
def fresh_trials_of_subjects(seed):
    """Trials of two subjects whose beginning is known."""
    X, _, _, model = _subjects(seed)
    return model, X[TEST]


@fresh("DeepRecurrentEncoder")
def fresh_trials_of_a_network(seed):
    """Continuous features, a network of a few units."""
    X, y = _world(seed)
    model = DeepRecurrentEncoder(max_epochs=1, hidden_size=4, random_state=seed)
    return model.fit(X[TRAIN], y[TRAIN]), X[TEST]
