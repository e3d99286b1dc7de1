"""
First minute with a new user: calibrate, stream, reject
=======================================================

A decoder is trained on one session. A user comes back on another day, shows every motion once, and
then moves. Nothing is trained again: the labeled trials stand beside what the session shows by
itself.
"""

# %%
# A nerve, and the same nerve later
# ---------------------------------

import numpy as np

from sklearn_meg import WindowClassifier
from sklearn_meg.datasets import make_nerve
from sklearn_meg.nerve import NerveStream
from sklearn_meg.plotting import plot_confusion

nerve = make_nerve((3,), sfreq=2500.0, duration=0.8, random_state=0)
train, today = nerve.session == 0, nerve.session == 1
model = WindowClassifier(
    sfreq=nerve.sfreq, session_row=-1, adaptation="online", session_model=True
).fit(nerve.X[train], nerve.y[train])

# %%
# Every motion once
# -----------------
X, y = nerve.X[today], nerve.y[today]
first = np.isin(np.arange(len(y)), np.unique(y, return_index=True)[1])
calibrated = model.calibrated(X[first], y[first])
print(f"without labels {model.score(X[~first], y[~first]):.2f}")
print(f"with one label a motion {calibrated.score(X[~first], y[~first]):.2f}")

# %%
# Then a stream
# -------------
# ``decisions="event"`` gives only changes that a majority of windows confirms; what is less likely
# than ``confidence`` has no vote. A label that is known later is told by ``correct``.
stream = NerveStream(calibrated, session=1, decisions="event", confidence=0.5)
labels = []
for trial, true in zip(X[~first], y[~first], strict=True):
    events = stream.push(trial[:-1])
    labels.append(stream.end_trial())
    if labels[-1] != true:
        stream.correct(true)
print(f"{np.mean(labels == y[~first]):.2f} right, corrected on the way")
plot_confusion(y[~first], np.array(labels), nerve.gestures)

# %%
# Motions that nobody has trained
# -------------------------------
# ``novelty`` is larger for trials that are like no motion of training.
model = WindowClassifier(
    sfreq=nerve.sfreq, session_row=-1, adaptation="batch", session_model=True
).fit(nerve.X[train & (nerve.y > 2)], nerve.y[train & (nerve.y > 2)])
score = model.novelty(X)
print(f"median novelty: trained {np.median(score[y > 2]):.2f}, new {np.median(score[y <= 2]):.2f}")
