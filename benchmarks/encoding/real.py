"""Real EEG recordings for the encoding benchmark, where a developer has them."""

import numpy as np

from sklearn_meg import pack_rows
from sklearn_meg._optional import needs

from ..recordings import recording

VISUAL, EEGLAB = "eeg_visual_20subjects.npz", "eeglab_data.set"
WORDS = "erp_words_20subjects.npz"


def find(name):
    """Path of a recording in ``$SKLEARN_MEG_DATA`` (or ``../shared/data``), None if absent."""
    return recording("encoding", name)


def eeg_visual(path, decimate=2, initial=0.1):
    """20 subjects x 5 trials of one visual condition, leave-one-trial-out inside subjects.

    decimate: 256 Hz are more than the low-passed signal needs.
    initial: Initial window in seconds.
    Returns X, y, rows, subjects, folds: The stimulus is an impulse at onset and a boxcar of the
        0.3 s that the picture is shown.
    """
    from scipy.signal import decimate as low_pass_and_decimate

    with np.load(path) as data:
        y = data["eeg"].astype(float)
        subjects = np.unique(data["subject"], return_inverse=True)[1]
        sfreq = float(data["sfreq"]) / decimate
    y = low_pass_and_decimate(y, decimate, axis=2)
    features = np.zeros((len(y), 2, y.shape[2]))
    features[:, 0, 0] = 1
    features[:, 1, : round(0.3 * sfreq)] = 1
    X, rows = pack_rows(features, subjects=subjects, initial=y, n_initial=round(initial * sfreq))
    number = np.zeros(len(y), dtype=int)
    for subject in np.unique(subjects):
        number[subjects == subject] = np.arange((subjects == subject).sum())
    folds = [(np.flatnonzero(number != k), np.flatnonzero(number == k)) for k in range(5)]
    return X, y, rows, subjects, folds, sfreq


def erp_words(path, decimate=5, length=0.8):
    """20 subjects x 2 condition averages; one condition of each subject is left out.

    decimate: 250 Hz are more than averages need.
    length: End of the scored time in seconds.
    Returns X, y, rows, subjects, folds, sfreq: The stimulus is an impulse at onset for all words,
        and one for the condition.
    """
    from scipy.signal import decimate as low_pass_and_decimate

    with np.load(path) as data:
        erp = data["erp"].astype(float)
        sfreq, tmin = float(data["sfreq"]) / decimate, float(data["tmin"])
    n_subjects, n_conditions = erp.shape[:2]
    zero = round(-tmin * sfreq)
    y = low_pass_and_decimate(erp.reshape(-1, *erp.shape[2:]), decimate, axis=2)
    y = y[:, :, zero : zero + round(length * sfreq)]
    subjects = np.repeat(np.arange(n_subjects), n_conditions)
    condition = np.tile(np.arange(n_conditions), n_subjects)
    features = np.zeros((len(y), 2, y.shape[2]))
    features[:, 0, 0] = 1
    features[:, 1, 0] = condition - 0.5
    X, rows = pack_rows(features, subjects=subjects)
    parity = (subjects + condition) % 2
    folds = [(np.flatnonzero(parity != k), np.flatnonzero(parity == k)) for k in range(2)]
    return X, y, rows, subjects, folds, sfreq


def eeglab(path, sfreq=64.0, n_folds=5):
    """One subject's responses to squares, with position and reaction time as features.

    path (path-like): EEGLAB's example recording.
    sfreq: Rate to resample to.
    n_folds: Folds of neighboring trials.
    Returns X, y, rows, subjects, folds, sfreq
    """
    import mne
    from sklearn.model_selection import KFold

    with needs("The recording of EEGLAB", "pymatreader", "pymatreader"):
        import pymatreader
    raw = mne.io.read_raw_eeglab(path, preload=True, verbose="error")
    raw.filter(1.0, 30.0, verbose="error")
    content = pymatreader.read_mat(path)
    events = content.get("EEG", content)["event"]
    latency, kind = np.array(events["latency"], float) - 1, np.array(events["type"])
    squares, answers = np.flatnonzero(kind == "square"), latency[kind == "rt"]
    after = np.searchsorted(answers, latency[squares], side="right")
    delay = np.append(answers, np.inf)[after] - latency[squares]
    kept = delay < 2.0 * raw.info["sfreq"]
    squares, delay = squares[kept], delay[kept] / raw.info["sfreq"]
    position = np.array(events["position"], dtype=object)[squares].astype(float)
    samples = np.round(latency[squares]).astype(int)
    found = np.c_[samples, np.zeros_like(samples), np.ones_like(samples)]
    epochs = mne.Epochs(
        raw, found, tmin=-0.5, tmax=1.5, baseline=None, preload=True, verbose="error"
    ).resample(sfreq, verbose="error")
    values = np.c_[np.ones(len(squares)), position, delay]
    values[:, 1:] = (values[:, 1:] - values[:, 1:].mean(0)) / values[:, 1:].std(0)
    on = (epochs.times >= 0) & (epochs.times < 0.25)
    y = epochs.get_data(picks="eeg", verbose="error")
    n_initial = int((epochs.times < 0).sum())
    X, rows = pack_rows(values[:, :, None] * on, initial=y, n_initial=n_initial)
    folds = list(KFold(n_folds).split(X))
    return X, y, rows, np.zeros(len(y), int), folds, sfreq
