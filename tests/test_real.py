"""The encoders on real EEG, where it is there."""

import numpy as np
import pytest

from benchmarks.encoding import real
from sklearn_meg import SubjectMean, TemporalReceptiveField
from sklearn_meg.metrics import r_over_time


@pytest.mark.parametrize("name", ["eeg_visual", "eeglab"])
def test_an_encoder_predicts_trials_it_has_not_met(real_data, name):
    if name == "eeglab":
        pytest.importorskip("pymatreader")
    file = {"eeg_visual": real.VISUAL, "eeglab": real.EEGLAB}[name]
    load = getattr(real, name)
    X, y, rows, subjects, folds, sfreq = load(real_data / "encoding" / file)
    tested = np.concatenate([test for _, test in folds])
    assert sorted(tested) == list(range(len(X)))
    train, test = folds[0]
    assert set(subjects[test]) == set(subjects)
    for model in (SubjectMean(**rows), TemporalReceptiveField(tmax=0.6, sfreq=sfreq, **rows)):
        predicted = model.fit(X[train], y[train]).predict(X[test])
        assert r_over_time(y[test], predicted, start=rows["n_initial"]) > 0.1
