"""
Does a deep encoder beat a linear one?
======================================

Three subjects hear words. Four models predict their MEG from the length and the frequency of each
word: the mean response of the subject, a temporal receptive field (TRF), a recurrent TRF that also
sees how the trial begins, and a deep recurrent encoder that adds what its linear base does not
explain. All of them are fitted and scored on the same folds by
:class:`~sklearn_meg.Study`.

The data are simulated on a real head: the sensors and the skull are surfaces that MNE carries.
The amplitude of a response is a nonlinear function of the two features, so a linear model knows
only a part of it. Sensors and trials are few and the noise is low, so that this page is built in a
minute: it shows how to compare, not how large the difference is on a recording.
"""

# %%
# Words on a head
# ---------------
# ``X`` holds one row for each stimulus feature, one with the index of the subject, and the first
# 0.33 s of every channel (the initial window). ``data.rows`` says which row is which, in the terms
# of the constructors.

from sklearn_meg import (
    DeepRecurrentEncoder,
    RecurrentTRF,
    Study,
    SubjectMean,
    TemporalReceptiveField,
)
from sklearn_meg.datasets import make_head, make_words
from sklearn_meg.encoding.plotting import plot_r_topomap

head = make_head(n_channels=30)
data = make_words("N", n_subjects=3, n_trials=200, tmax=1.2, snr=2, head=head, random_state=0)
print("X", data.X.shape, "y", data.y.shape, data.rows)

# %%
# One study
# ---------
# The first model is the reference of the ratios. Nobody is scored on the initial window. With
# ``cache_dir="some/folder"`` a study that was killed goes on where it was.

lags = {"sfreq": data.sfreq, "tmax": 0.8}
models = {
    "trf": TemporalReceptiveField(**lags, **data.rows),
    "rtrf": RecurrentTRF(n_past=20, **lags, **data.rows),
    "dre": DeepRecurrentEncoder(max_epochs=20, random_state=0, **data.rows),
    "mean": SubjectMean(**data.rows),
}
study = Study(models, cv=2).run(data.X, data.y, times=data.times, info=data.info)
study.summary().query("metric == 'r'").round(3)

# %%
# Left: the mean over folds for each subject. Right: when the models know something about the
# trial. The shaded part is the initial window.

study.plot()

# %%
# Pairs of models
# ---------------
# A signed-rank test on the same trials. The row over subjects can be taken at its word; with three
# subjects its p value cannot fall below 0.25, whatever the models do.

study.compare("dre", "trf").round(3)

# %%
# Where on the head
# -----------------
# R across trials for each sensor, and what the deep encoder adds to the TRF.

at = (0.15, 0.25, 0.45, 0.7)
plot_r_topomap(
    study.maps_["dre"].mean(axis=0), data.info, data.times, at=at, title="Deep recurrent encoder"
)

# %%

plot_r_topomap(
    (study.maps_["dre"] - study.maps_["trf"]).mean(axis=0),
    data.info,
    data.times,
    at=at,
    difference=True,
    title="Deep recurrent encoder - TRF",
)

# %%
# All of it, with the table of every fold and subject, as one page: ``study.report("study.html")``.
