"""What users of studies do to trials, folds and features."""

import tempfile
import warnings
from functools import cache
from pathlib import Path

import numpy as np
from scipy.ndimage import uniform_filter1d
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.model_selection import KFold

from sklearn_meg import RecurrentTRF, Study, TemporalReceptiveField, pack_rows

from .record import Answer, violation

N, N_CHANNELS, N_TIMES = 30, 6, 30


@cache
def _world(seed, n=N):
    """Trials in which the first of two features drives all channels."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2, N_TIMES))
    gains = rng.normal(size=(N_CHANNELS, 1)) + 2
    return X, X[:, :1] * gains + 2 * rng.normal(size=(n, N_CHANNELS, N_TIMES))


def _trf():
    return TemporalReceptiveField(tmax=2, alphas=1.0)


def _study(X, y, cv=3, models=None, run=None, **params):
    models = models or {"trf": _trf()}
    return Study(models, cv=cv, n_permutations=30, **params).run(X, y, **(run or {}))


def _r(X, y, model="trf", **keys):
    return float(_study(X, y, **keys).table_.query("model == @model")["r"].mean())


def _claims(study, model):
    gains = study.gains().set_index("model")
    return bool(model in gains.index and gains.loc[model, "claimed"])


class Memory(RegressorMixin, BaseEstimator):
    """Answers with the response of the trial of `fit` whose stimulus is nearest."""

    def fit(self, X, y):
        """Remember."""
        self.X_, self.y_ = X.reshape(len(X), -1), y
        return self

    def predict(self, X):
        """Recall."""
        flat = X.reshape(len(X), -1)
        distance = ((flat[:, np.newaxis] - self.X_) ** 2).sum(axis=2)
        return self.y_[distance.argmin(axis=1)]


@violation("every trial twice", right="R within .05 of that of the trials once")
def duplicated_trials(seed, broken):
    """A file was read twice, so copies of the same trial are in both halves."""
    X, y = _world(seed)
    order = np.random.default_rng(seed).permutation(2 * N) % N if broken else np.arange(N)
    r = _r(X[order], y[order], "memory", models={"memory": Memory()}, cv=KFold(3))
    return Answer(abs(r - _r(X, y, "memory", models={"memory": Memory()}, cv=KFold(3))), 0.05)


@violation("windows cut every few samples", right="R within .05 of that of windows apart")
def overlapping_trials(seed, broken):
    """Trials overlap in time, in random folds, and nobody says when they were."""
    rng = np.random.default_rng(seed)
    course = 3 * uniform_filter1d(rng.normal(size=(1, 80 * N_TIMES)), 9, axis=1)
    signal = course * np.ones((N_CHANNELS, 1)) + rng.normal(size=(N_CHANNELS, course.size))
    step = 7 if broken else N_TIMES
    starts = np.arange(60) * step
    X, y = (np.array([a[:, s : s + N_TIMES] for s in starts]) for a in (course, signal))
    cv = KFold(3, shuffle=True, random_state=0)
    study = _study(X, y, cv=cv, models={"memory": Memory()})
    apart = np.arange(0, 80 - 1) * N_TIMES
    X, y = (np.array([a[:, s : s + N_TIMES] for s in apart[:60]]) for a in (course, signal))
    expected = _r(X, y, "memory", cv=cv, models={"memory": Memory()})
    return Answer(abs(study.table_.query("model == 'memory'")["r"].mean() - expected), 0.05)


@violation("windows that overlap, with their times", right="no training trial shares a sample")
def overlapping_spans(seed, broken):
    """Trials overlap in time, and the study is told when they were."""
    X, y = _world(seed)
    spans = np.arange(N)[:, np.newaxis] * (0.5 if broken else 2.0) + [0.0, 1.0]
    study = _study(X, y, run={"spans": spans})
    shared = sum(
        (np.abs(spans[train, 0][:, np.newaxis] - spans[test, 0]) < 1).sum()
        for train, test in study.splits_
    )
    return Answer(float(shared), 0.0)


@violation("one person under two names", right="two subjects are two persons")
def same_person(seed, broken):
    """The recording of a person was copied into the folder of another."""
    X, y = _world(seed)
    more = (X, y) if broken else _world(seed + 1000)
    both = [np.concatenate([a, b]) for a, b in zip((X, y), more)]
    study = _study(*both, run={"subjects": np.repeat([0, 1], N)})
    a, b = study.table_.query("model == 'trf'").groupby("subject")["r"].mean()
    return Answer(float(a == b), 0.0)


@violation("features that drive nothing", right="no claim")
def unrelated_feature(seed, broken):
    """A column of another experiment is studied."""
    X, y = _world(seed)
    told = np.random.default_rng(seed + 1).normal(size=X.shape) if broken else X
    return Answer(float(_claims(_study(told, y), "trf") is broken), 0.0)


@violation("a feature that drifts, in shuffled folds", right="no claim")
def drifting_feature(seed, broken):
    """Fatigue is studied, and the recording drifts as well; folds are shuffled."""
    rng = np.random.default_rng(seed)
    n = 2 * N
    fatigue = rng.normal(size=n).cumsum() if broken else rng.normal(size=n)
    drift = rng.normal(size=(n, N_CHANNELS, 1)).cumsum(axis=0) / 4
    told = (fatigue / fatigue.std())[:, np.newaxis, np.newaxis] * np.ones(N_TIMES)
    y = rng.normal(size=(n, N_CHANNELS, N_TIMES)) + (drift if broken else 2 * told)
    study = _study(told, y, KFold(5, shuffle=True, random_state=0))
    return Answer(float(_claims(study, "trf") is broken), 0.0)


@violation("metadata in another order", right="no claim")
def shuffled_metadata(seed, broken):
    """The table of trials was sorted, the recording was not."""
    X, y = _world(seed)
    order = np.argsort(X[:, 0].mean(axis=1)) if broken else np.arange(N)
    return Answer(float(_claims(_study(X[order], y), "trf") is broken), 0.0)


@violation("models that are told unlike things", right="each is measured by its own floor")
def unequal_information(seed, broken):
    """A recurrent model starts from the recording, the other does not; nothing is driven."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(N, N_CHANNELS, N_TIMES)).cumsum(axis=2)
    told = rng.normal(size=(N, 1, 1)) * np.ones(N_TIMES)
    if not broken:
        y[:, :, 8:] += 10 * told[:, :, 8:]
    X, rows = pack_rows(told, initial=y, n_initial=5)
    recurrent = RecurrentTRF(tmax=2, n_past=2, alphas=1.0, **rows)
    trf = TemporalReceptiveField(tmax=2, alphas=1.0, **rows)
    study = _study(X, y, models={"trf": trf, "rtrf": recurrent})
    pair = study.compare("rtrf", "trf")["told_the_same"].any()
    return Answer(float(pair or _claims(study, "rtrf") is broken), 0.0)


@violation("microvolts among volts", right="a warning")
def mixed_units(seed, broken):
    """One of three subjects was exported in another unit."""
    X, y = _world(seed, 3 * N)
    scale = np.repeat([1.0, 1.0, 1e6 if broken else 1.0], N)
    study = _study(
        X, y * scale[:, np.newaxis, np.newaxis], run={"subjects": np.repeat([0, 1, 2], N)}
    )
    return Answer(abs(study.table_.query("model == 'trf'")["r"].mean() - _r(X, y)), 0.1)


@violation("one subject", right="the interval is said to be over trials")
def one_subject(seed, broken):
    """A claim about people is made from one of them."""
    n = 1 if broken else 6
    X, y = _world(seed, n * N)
    gains = _study(X, y, run={"subjects": np.repeat(np.arange(n), N)}).gains()
    expected = "trials" if broken else "subjects"
    return Answer(float(gains["interval_over"].iloc[0] != expected), 0.0)


@violation("a bad channel that is not marked", right="R of the others as without it")
def bad_channel(seed, broken):
    """One electrode hangs in the air: a hundred times the noise, in the past of all others."""
    X, y = _world(seed)
    y = y.copy()
    if broken:
        y[:, 2] = 1000 * np.random.default_rng(seed).normal(size=y[:, 2].shape)
    found, clean = _study(X, y), _study(*_world(seed))
    others = [0, 1, 3, 4, 5]
    lost = abs(np.nanmean(found.maps_["trf"][:, others] - clean.maps_["trf"][:, others]))
    return Answer(lost + abs(_mean_r(found) - _mean_r(clean)), 0.02)


def _mean_r(study):
    return float(study.table_.query("model == 'trf'")["r"].mean())


@violation("a feature that never changes", right="an error")
def constant_feature(seed, broken):
    """The column holds one value, or was read wrongly."""
    X, y = _world(seed)
    X = X.copy()
    if broken:
        X[:, 1] = 1.0
    features = _study(X, y, run={"features": {"a": [0], "b": [1]}}).features()
    return Answer(float(len(features) != 2 or broken), 0.0)


@violation("times in milliseconds", right="scores count from the onset on")
def milliseconds(seed, broken):
    """The time axis was taken from a plot."""
    X, y = _world(seed)
    times = np.linspace(-0.1, 0.19, N_TIMES) * (1000 if broken else 1)
    study = _study(X, y, run={"times": times})
    return Answer(float(abs(study.times_[-1]) > 10), 0.0)


@violation("the response among the features", right="no claim")
def response_in_features(seed, broken):
    """A channel that belongs to the response was left in X."""
    X, y = _world(seed)
    noise = np.random.default_rng(seed).normal(size=(N, 1, N_TIMES))
    told = np.concatenate([noise, y[:, :1]], axis=1) if broken else X
    return Answer(float(_claims(_study(told, y), "trf") is broken), 0.0)


@violation("targets that are all alike", right="no score, or an error")
def flat_targets(seed, broken):
    """The recording is of a switched-off amplifier."""
    X, y = _world(seed)
    r = _r(X, np.zeros_like(y) if broken else y)
    return Answer(0.0 if np.isnan(r) or not broken else abs(r), 1e-9)


@violation("conditions one after the other", right="every fold has all classes")
def sorted_classes(seed, broken):
    """Trials stand in the order of their conditions."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1, 2], 20) if broken else np.tile([0, 1, 2], 20)
    X = rng.normal(size=(60, 4)) + y[:, np.newaxis]
    study = Study({"m": LogisticRegression()}, cv=3).run(X, y)
    lacking = sum(len(np.unique(y[train])) < 3 for train, _ in study.splits_)
    return Answer(float(lacking), 0.0)


def _files(seed, folder, sfreqs=(100.0, 100.0), orders=(1, 1), kinds=("a", "b")):
    """Two subjects as files of epochs, with a column of the metadata."""
    import mne
    import pandas as pd

    paths = []
    for number, (sfreq, order) in enumerate(zip(sfreqs, orders)):
        rng = np.random.default_rng([seed, number])
        kind = rng.permutation(np.arange(12) % len(kinds))
        y = 1e-6 * rng.normal(size=(12, 4, 40))
        y[:, 0, 20:] += 5e-6 * kind[:, np.newaxis]
        names = ["Fz", "Cz", "Pz", "Oz"]
        info = mne.create_info(names[::order], sfreq, "eeg", verbose="error")
        events = np.c_[100 * np.arange(12) + 50, np.zeros(12, int), np.ones(12, int)]
        table = pd.DataFrame({"kind": [kinds[k] for k in kind]})
        epochs = mne.EpochsArray(
            y[:, ::order], info, events, tmin=-20 / sfreq, metadata=table, verbose="error"
        )
        paths.append(Path(folder) / f"sub-{number:02d}-epo.fif")
        epochs.save(paths[-1], verbose="error")
    return paths


def _gathered(paths, subjects=("sub-00", "sub-01"), **reading):
    from sklearn_meg.study.recordings import Reading, gather
    from sklearn_meg.study.sources import epochs_source

    sources = [epochs_source(p, s, str(i)) for i, (p, s) in enumerate(zip(paths, subjects))]
    with tempfile.TemporaryDirectory() as folder:
        data = gather(sources, Reading(**{"features": ["kind"], "initial": 0.0, **reading}), folder)
        return data, np.array(data.X), np.array(data.y)


@violation("one file at another sampling rate", right="an error that names the option")
def other_rate(seed, broken):
    """One recording was not resampled like the others."""
    with tempfile.TemporaryDirectory() as folder:
        _, _, y = _gathered(_files(seed, folder, (100.0, 200.0 if broken else 100.0)))
    return Answer(float(broken or y.shape != (24, 4, 40)), 0.0)


@violation("channels in another order in one file", right="the same channel in the same row")
def other_order(seed, broken):
    """A lab changed its montage."""
    with tempfile.TemporaryDirectory() as folder:
        data, _, y = _gathered(_files(seed, folder, orders=(1, -1 if broken else 1)))
    loud = np.abs(y[data.subjects == "sub-01"]).mean(axis=(0, 2)).argmax()
    return Answer(float(loud != data.info["ch_names"].index("Fz")), 0.0)


@violation("the same trials in two files", right="an error")
def trials_in_two_files(seed, broken):
    """A run was exported twice, under two names."""
    with tempfile.TemporaryDirectory() as folder:
        paths = _files(seed, folder)
        if broken:
            paths = [paths[0], paths[0].rename(Path(folder) / "copy-epo.fif")]
            paths[0] = _copy(paths[1], Path(folder) / "sub-00-epo.fif")
        _gathered(paths, subjects=("sub-00", "sub-00"))
    return Answer(float(broken), 0.0)


def _copy(source, target):
    target.write_bytes(source.read_bytes())
    return target


@violation("categories that are numbered", right="one column a category")
def numbered_categories(seed, broken):
    """Conditions are 1, 2, 3 in the table, and are taken for amounts."""
    kinds = (1, 2, 3) if broken else ("one", "two", "three")
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        data, _, _ = _gathered(_files(seed, folder, kinds=kinds))
    return Answer(float(len(data.features["kind"]) != 2), 0.0)
