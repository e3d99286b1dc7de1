"""
Intent from a nerve, in real time and on another day
====================================================

Sixteen electrodes in a peripheral nerve; ten movements of the hand that somebody intends. A decoder
is trained on one day. Some time later the electrodes see the nerve differently: gains have changed,
some units are lost. The decoder adapts without labels, and decides while the signals arrive.
"""

# %%
# A nerve, and the same nerve later
# ---------------------------------
# The last row of X is the session, so that splitters and pipelines carry it along. Session 0 is for
# training, 1 is the same day, 2 is after a drift of level 2, 3 of level 3.

import numpy as np

from sklearn_meg import NerveDecoder, NerveFeatures, NerveRegressor, WindowClassifier
from sklearn_meg.datasets import make_nerve
from sklearn_meg.plotting import plot_accuracy_over_days, plot_confusion, plot_latency, plot_stream

nerve = make_nerve((0, 2, 3), sfreq=2500.0, duration=0.8, random_state=0)
train = nerve.session == 0
print("trials x rows x times:", nerve.X.shape)

# %%
# Fit once, adapt to every session
# --------------------------------
# With ``adaptation="batch"`` features are normalized anew, and classes found, from all unlabeled
# trials of a session; with "online" only from those before. Linear discriminant analysis is the
# classical way, and normalized in the same ways. Where there is one session of training, the fit
# does not depend on the adaptation, so one is enough.

settings = {"sfreq": nerve.sfreq, "session_row": -1}
models = {
    "NerveDecoder": NerveDecoder(**settings, max_epochs=40, random_state=0),
    "LDA": WindowClassifier(**settings),
}
scores = {}
for name, model in models.items():
    model.fit(nerve.X[train], nerve.y[train])
    scores[name] = {}
    for adaptation in (None, "online", "batch"):
        model.set_params(adaptation=adaptation)
        kind = "not adapted" if adaptation is None else adaptation
        scores[name][kind] = [
            model.score(nerve.X[nerve.session == s], nerve.y[nerve.session == s]) for s in (1, 2, 3)
        ]
ax = plot_accuracy_over_days(scores, chance=0.1)
ax.set_xticks([1, 2, 3], ["the same day", "drift 2", "drift 3"])
ax.set_xlabel("Session")

# %%
# Which movements are taken for each other after the drift?

later = nerve.session == 2
decoder = models["NerveDecoder"]
plot_confusion(nerve.y[later], decoder.predict(nerve.X[later]), nerve.gestures)

# %%
# In real time
# ------------
# A stream takes chunks of any size and gives a decision every 20 ms. It sees no number of a session
# and no label. Here each trial comes in chunks of 13 ms, and in one of them the amplifier writes
# NaN. What is decided with less than .6 is withheld. After each movement, ``end_trial`` lets the
# decoder learn what it can about this session.

stream = decoder.stream(confidence=0.6)
decisions, truth, votes = [], [], []
for number, (trial, gesture) in enumerate(zip(nerve.X[later], nerve.y[later], strict=True)):
    signal = trial[:-1].copy()
    if number == 35:
        signal[4, 900:1000] = np.nan
    for start in range(0, signal.shape[1], 32):
        new = stream.push(signal[:, start : start + 32])
        decisions += new
        truth += [gesture] * len(new)
    votes.append(stream.end_trial())
print(f"trials decided right: {np.mean(votes == nerve.y[later]):.2f}")
shown = [i for i, d in enumerate(decisions) if 26.4 < d.time <= 32.0]
plot_stream([decisions[i] for i in shown], [truth[i] for i in shown], names=nerve.gestures)

# %%
# How long did a decision take, features and network together?

plot_latency(stream.latencies, limit=0.02)

# %%
# Save the state of a stream, and go on later from there.

again = decoder.stream(confidence=0.6, state=stream.state())
print("goes on at", round(again.time, 2), "s")

# %%
# Six degrees of freedom at once
# ------------------------------
# The same features drive a regression of all movements. The answer is wanted at the end of each
# window.

windows = NerveFeatures(sfreq=nerve.sfreq)
y = windows.at_windows(nerve.dof)
regressor = NerveRegressor(**settings, adaptation="batch", max_epochs=40, random_state=0)
regressor.fit(nerve.X[train], y[train])
for s, name in ((1, "the same day"), (2, "drift 2")):
    chosen = nerve.session == s
    print(f"{name}: R2 {regressor.score(nerve.X[chosen], y[chosen]):.2f}")

stream, decisions, truth = regressor.stream(), [], []
for trial in np.flatnonzero(nerve.session == 1)[:6]:
    decisions += stream.push(nerve.X[trial, :-1])
    truth += list(y[trial].T)
    stream.end_trial()
fingers = ["thumb", "index", "middle", "ring", "little", "wrist"]
plot_stream(decisions, truth, names=fingers)
