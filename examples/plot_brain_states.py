"""
States of brain activity, and the communities that matter
=========================================================

Which networks does the brain switch between, how many are there, and which groups of regions hold
its activity longest? :class:`~sklearn_meg.HiddenMarkovGraph` finds states in regional time series
and ranks the communities of all of them in one network.
"""

# %%
# Recordings that switch between states
# -------------------------------------
# Four subjects, 40 regions, 600 samples. In each state the regions are coupled in other groups; a
# state lasts 10 samples on average, and couplings are weak. Means and variances never change.

import numpy as np

from sklearn_meg import HiddenMarkovGraph, MixtureStates, WindowStates
from sklearn_meg.datasets import make_states
from sklearn_meg.dynamics import community_significance, select_n_states, states_to_annotations
from sklearn_meg.dynamics.metrics import match_states, state_accuracy
from sklearn_meg.plotting import (
    plot_layers,
    plot_selection,
    plot_state_time_courses,
    plot_transitions,
)

data = make_states("hard", random_state=3)
print("X:", data.X.shape)

# %%
# How many states
# ---------------
# One subject is left out in turn. The rules need not agree; the held-out likelihood is recommended.

selection = select_n_states(HiddenMarkovGraph(n_init=4, random_state=0), data.X, (1, 2, 3, 4, 5, 6))
print(selection.table_.round(3).to_string(index=False))
plot_selection(selection)

# %%
# The states in time
# ------------------
# The band above is the truth. Models that do not know that states last, or that need windows, see
# less.

model = HiddenMarkovGraph(n_states=selection.n_states_, random_state=0).fit(data.X)
matching = match_states(data.states, model.predict(data.X))
truth = matching[data.states[0]]
plot_state_time_courses(model.predict_proba(data.X)[0, :300], sfreq=10, true_states=truth[:300])

print(f"hidden Markov: {state_accuracy(data.states, model.predict(data.X)):.3f}")
mixture = MixtureStates(n_states=4, random_state=0).fit(data.X)
print(f"mixture: {state_accuracy(data.states, mixture.predict(data.X)):.3f}")
windows = WindowStates(n_states=4, random_state=0).fit(data.X)
print(f"clusters of windows: {state_accuracy(data.states.ravel(), windows.labels_):.3f}")

# %%
# Visits of states as mne annotations, for instance to mark them in a recording:

print(states_to_annotations(model.predict(data.X)[0], sfreq=10))

# %%
# Where states go
# ---------------

plot_transitions(model)
print(f"information rate: {model.information_rate_:.2f} nats a sample")

# %%
# The network, and its communities
# --------------------------------
# Colors are the communities in which the walk through states and regions spends most time, and
# stays. The p-values compare with data whose regions are not coupled.

plot_layers(model)
table = community_significance(model, data.X, n_surrogates=99)
shown = ["rank", "state", "score", "persistence", "n_regions", "p_value"]
print(table[shown].head(8).round(3).to_string(index=False))

# %%
# The planted communities come back:

k = int(table["state"][0])
true_state = int(np.flatnonzero(matching == k)[0])
found = set(table["regions"][0])
planted = [set(np.flatnonzero(data.communities[true_state] == c)) for c in range(5)]
best = max(planted, key=lambda regions: len(regions & found))
print(f"first community: {len(found & best)} of {len(best)} planted regions, {len(found)} found")
