"""Studies of encoders of words that drive nothing, and of words that do.

The recording of each subject goes on in a spectrum of 1/f that channels share, so that models which
are told the beginning of a trial predict much of the rest; words come at random moments of it. Two
folds and 20 passes of training instead of the defaults keep a study below a minute.
"""

import mne
import numpy as np
import pandas as pd

from benchmarks.drift import drift
from benchmarks.report import check, row, values
from sklearn_meg import (
    DeepRecurrentEncoder,
    RecurrentTRF,
    Study,
    TemporalReceptiveField,
    epochs_to_xy,
)

CASES = ("null_encoders",)
N_STUDIES, QUICK_STUDIES = 20, 1
N_SUBJECTS, N_CHANNELS, N_COURSES, SFREQ = 3, 8, 11, 100.0
EFFECTS = {"unrelated": 0.0, "driven": 0.5}  # amplitude for a standard deviation of word length
ALLOWED = 1  # of 20 studies


def case_rows(case, seed, quick=False):
    """Studies, and those that claim a gain of any model, without and with a response."""
    n, rows = QUICK_STUDIES if quick else N_STUDIES, []
    for name in ("driven",) if quick else EFFECTS:
        claimed = [one_study(k, EFFECTS[name], quick) for k in range(n)]
        rows.append(row(case, name, "tried", seed, n))
        rows.append(row(case, name, "claimed", seed, int(sum(claimed))))
    return rows


def one_study(seed, effect, quick):
    """Whether a study claims that word length explains the response."""
    rng = np.random.default_rng([seed, 1000])
    maps = rng.normal(size=(N_CHANNELS, N_COURSES)) / 3
    pattern = rng.normal(size=N_CHANNELS)
    epochs = [_recording(rng, maps, effect * pattern) for _ in range(1 if quick else N_SUBJECTS)]
    data = epochs_to_xy(epochs, features=["word_length"])
    lags = {"sfreq": SFREQ, "tmax": 0.59}
    n_epochs = 1 if quick else 20
    models = {
        "trf": TemporalReceptiveField(**lags, **data.rows),
        "rtrf": RecurrentTRF(**lags, **data.rows),
        "dre": DeepRecurrentEncoder(
            base_params=lags, max_epochs=n_epochs, random_state=0, **data.rows
        ),
    }
    study = Study(models, cv=2, n_permutations=4 if quick else 30)
    study.run(data.X, data.y, times=data.times, info=data.info)
    return bool(study.gains().claimed.any())


def _recording(rng, maps, pattern):
    """Epochs of one subject, with the lengths of words as metadata.

    maps (n_channels, n_courses): How ongoing activity reaches the channels.
    pattern (n_channels,): Response to a word of mean length plus one standard deviation.
    """
    n_trials = int(rng.integers(80, 111))
    onsets = 100 + np.cumsum(rng.integers(90, 140, n_trials))
    lengths = rng.integers(2, 10, n_trials).astype(float)
    data = (maps + 0.1 * rng.normal(size=maps.shape)) @ drift(rng, N_COURSES, onsets[-1] + 200)
    times = np.arange(60) / SFREQ
    course = np.exp(-(((times - 0.17) / 0.05) ** 2)) - 0.6 * np.exp(-(((times - 0.32) / 0.08) ** 2))
    for onset, length in zip(onsets, (lengths - lengths.mean()) / lengths.std()):
        data[:, onset : onset + len(times)] += length * np.outer(pattern, course)
    info = mne.create_info([f"MEG{k:04d}" for k in range(len(data))], SFREQ, "mag")
    raw = mne.io.RawArray(1e-13 * data, info, verbose=False)
    events = np.column_stack([onsets, np.zeros_like(onsets), np.ones_like(onsets)])
    words = pd.DataFrame({"word_length": lengths})
    return mne.Epochs(
        raw,
        events,
        tmin=-0.2,
        tmax=0.59,
        baseline=None,
        metadata=words,
        preload=True,
        verbose=False,
    )


def checks(rows):
    """At most one study of twenty claims what is not there, at most one misses what is."""
    found = []
    for name, bound in {
        "unrelated": f"<= {ALLOWED / 20}",
        "driven": f">= {1 - ALLOWED / 20}",
    }.items():
        tried = values(rows, CASES[0], name, "tried").sum()
        if tried:
            share = values(rows, CASES[0], name, "claimed").sum() / tried
            found.append(check(f"null encoders: {name}: claimed", share, bound))
    return found
