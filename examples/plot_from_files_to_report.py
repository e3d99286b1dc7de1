"""
From a lab's files to a report
==============================

Three subjects hear words in two runs each. Their recordings are as recordings are: other bad
channels in each subject, channels in another order, MEG and EEG together, epochs that overlap in
time, words whose length was not written down, kinds of words as text. One line makes a study::

    sklearn-meg study --epochs sub-*_run-*-epo.fif --features length,kind,speaker \\
        --missing drop --resample 50 --models trf --cv-by block --out results

Here the same is done step by step. The recordings are simulated, so the truth is known: length and
kind drive the response, the loudspeaker that a word came from does not.
"""

# %%
# The files
# ---------

import tempfile

from sklearn_meg import Study, TemporalReceptiveField
from sklearn_meg.datasets import make_recordings
from sklearn_meg.study.recordings import Reading, gather
from sklearn_meg.study.sources import epochs_source, name_subjects

folder = tempfile.mkdtemp()
made = make_recordings(folder, n_trials=40, n_meg=16, n_eeg=8, sfreq=200.0)
for path in made.files:
    print(path.name, "bad:", ", ".join(made.bads[path.name]))

# %%
# One data set
# ------------
# Recordings are read one by one. What was done to them is told in words, for the page.

subjects, runs = name_subjects(made.files)
sources = [epochs_source(*each) for each in zip(made.files, subjects, runs)]
reading = Reading(features=["length", "kind", "speaker"], missing="drop", resample=50.0)
data = gather(sources, reading)
print(*data.notes, sep="\n")
print("X", data.X.shape, "y", data.y.shape, "features", data.features)
data.counts

# %%
# The study
# ---------
# Blocks of trials that follow each other are left out in turn. Training trials that overlap in time
# with one of them are left out, too.

model = TemporalReceptiveField(tmax=0.6, sfreq=data.info["sfreq"], **data.rows)
study = Study({"trf": model}, cv=5, n_permutations=10)
study.run(
    data.X, data.y, subjects=data.subjects, times=data.times, info=data.info,
    features=data.features, spans=data.spans, recordings=data.recordings,
)  # fmt: skip
print("trials that overlap:", study.n_overlapping_, "left out of folds:", study.n_purged_)
print(*study.verdict(), sep="\n")

# %%
# The gain over the floor with the same information, and what each feature adds. The loudspeaker
# adds nothing.

study.gains().round(4).T

# %%

study.features().round(4)

# %%

study.plot()

# %%
# A paragraph for the paper, and ``study.report("report.html")`` writes the page.

print(study.methods())
