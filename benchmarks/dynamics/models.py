"""State models of the benchmark, and peers that are not ours behind the same interface."""

from importlib.util import find_spec

import numpy as np

from sklearn_meg._training.threads import global_generator_kept
from sklearn_meg.dynamics import (
    PAPER_PARAMS,
    HiddenMarkovGraph,
    HmmlearnStates,
    MixtureStates,
    SingleGaussian,
    WindowStates,
)
from sklearn_meg.dynamics._base import StateModel
from sklearn_meg.dynamics.baselines import regular

N_INIT = 8  # restarts, of ours and of every peer
SHRINKAGES = (0.1, 0.2, 0.4)  # of peers, of which the held-out likelihood chooses
SMALL = {"n_init": 2}


class KnownStates(StateModel):
    """The true parameters."""

    missing, decoding, layer, density = "error", "posterior", "correlation", 0.15
    community_edges, damping, random_state = "partial", 0.85, None

    def __init__(self, data=None):
        self.data = data

    def fit(self, X, y=None):
        """Take what is known."""
        d = self.data
        self.n_features_in_ = d.means.shape[1]
        counts = np.bincount(d.states.ravel(), minlength=len(d.means)).astype(float)
        self._set_states(d.startprob, d.transmat, d.means, d.covariances, counts)
        return self


class GlhmmStates(StateModel):
    """The model of glhmm with full covariances, for measurement only."""

    missing, decoding, layer, density = "error", "posterior", "correlation", 0.15
    community_edges, damping = "partial", 0.85

    def __init__(self, n_states=4, n_init=N_INIT, random_state=0):
        self.n_states = n_states
        self.n_init = n_init
        self.random_state = random_state

    def fit(self, X, y=None):
        """Fit; its restarts are its own."""
        from glhmm import glhmm

        recordings = self._recordings(X, reset=True)
        Y, _ = recordings.samples()
        ends = np.cumsum(recordings.lengths)
        model = glhmm.glhmm(K=self.n_states, covtype="full", model_mean="state", model_beta="no")
        with global_generator_kept():  # it draws from it
            np.random.seed(self.random_state)  # noqa: NPY002
            gamma, *_ = model.train(
                X=None, Y=Y, indices=np.stack([ends - recordings.lengths, ends], axis=1),
                options={"verbose": False, "initrep": self.n_init},
            )  # fmt: skip
        covariances = [model.get_covariance_matrix(k) for k in range(self.n_states)]
        self._set_states(
            np.asarray(model.Pi).ravel(), np.asarray(model.P),
            np.nan_to_num(np.asarray(model.get_means()).T), regular(covariances), gamma.sum(0),
        )  # fmt: skip
        return self


def has(name):
    """Whether a peer can be imported."""
    return find_spec(name) is not None


def peers(n_states, seed, case, quick=False):
    """Models by name: a list of candidates each, of which held-out likelihood chooses."""
    common = {"n_states": n_states, "random_state": seed, "n_init": 2 if quick else N_INIT}
    grid = SHRINKAGES[:1] if quick else SHRINKAGES
    models = {
        "single_gaussian": [SingleGaussian()],
        "single_gaussian_tuned": [SingleGaussian(shrinkage=s) for s in grid],
        "gmm": [MixtureStates(**common, shrinkage=s) for s in grid],
        "windows_chain": [
            WindowStates(**common, shrinkage=s, window=w)
            for w in ((20,) if quick else (10, 20))
            for s in grid
        ],
    }
    if has("hmmlearn"):
        models["hmmlearn"] = [HmmlearnStates(**common)]
        if case != "easy":  # where there is nothing to gain
            models["hmmlearn_tuned"] = [HmmlearnStates(**common, shrinkage=s) for s in grid]
    if has("glhmm"):
        models["glhmm"] = [GlhmmStates(**common)]
    return models


def ours(n_states, seed, quick=False):
    """HiddenMarkovGraph as it comes, and as the paper has it."""
    few = SMALL if quick else {}
    return {
        "default": HiddenMarkovGraph(n_states=n_states, random_state=seed, **few),
        "paper": HiddenMarkovGraph(n_states=n_states, random_state=seed, **{**PAPER_PARAMS, **few}),
    }


def choose(candidates, X):
    """The candidate that makes the last recording likeliest when fitted to the others."""
    if len(candidates) == 1:
        return candidates[0]
    return max(candidates, key=lambda model: _held_out(model, X))


def _held_out(model, X):
    few = {"n_init": 1} if "n_init" in model.get_params() else {}
    return type(model)(**{**model.get_params(), **few}).fit(X[:-1]).score(X[-1:])
