"""What every state model can do once it has states, transitions, means and covariances."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .._checks.params import check_option_param, check_random_state, check_scalar_param
from .._checks.whole import WholeFit
from .._params import param
from .._training.threads import one_blas_thread
from ._align import Aligner, Static
from ._alignment_choice import parse, statics_of
from ._chain import viterbi
from ._em import plug_in_density
from ._graph import (
    correlations,
    information_rate,
    louvain,
    multiplex_walk,
    rank_communities,
    shrunk_partial,
    stationary,
    strongest_edges,
)
from ._mar import plug_in_mar
from ._prepare import Prepared, with_aligner
from ._recordings import (
    check_recordings,
    warn_if_drifting,
    warn_if_repeated,
    warn_if_transposed,
)
from ._settings import ALIGN, GRAPH
from ._tails import spread_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    from .._typing import ArrayLike, DataFrame, DiGraph, Graph, RandomSeed

TINY = 1e-300


@dataclass(kw_only=True, eq=False, repr=False)
class StateParams:
    """Parameters of all state models: input, decoding, and the network of the states."""

    missing: Literal["error", "mask"] = param(
        "error",
        '{"error", "mask"}',
        "Treatment of NaN: an error, or samples that say nothing about the states.",
    )
    decoding: Literal["posterior", "viterbi"] = param(
        "posterior",
        '{"posterior", "viterbi"}',
        "States that ``predict`` gives: the most probable state of each sample, or the most "
        "probable path.",
    )
    layer: Literal["correlation", "partial"] = param(
        "correlation",
        '{"correlation", "partial"}',
        "Edges of the network: correlations, or those given all other regions.",
    )
    density: float = param(
        0.15, "float", "Share of all pairs that have an edge: the largest positive values."
    )
    community_edges: Literal["partial", "significant", "layer"] = param(
        "partial",
        '{"partial", "significant", "layer"}',
        "Edges in which communities are looked for: all positive partial correlations of shrunk "
        "correlations, which come back best in other recordings; positive values above three "
        "standard errors of a correlation that is zero; or the edges of the layer, as the paper "
        "does. With the layer alone, communities that are weaker than its threshold are lost.",
    )
    damping: float = param(0.85, "float", "Probability that the walk does not start anew.")
    random_state: RandomSeed = param(
        None, "int, RandomState instance or None", "Seed of starts and restarts."
    )


class StateModel(WholeFit, StateParams, TransformerMixin, BaseEstimator):
    """Base of models of Gaussian states that follow a Markov chain.

    A subclass calls ``_recordings`` and ``_set_states`` in ``fit``.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.missing == "mask"
        return tags

    def _check_common(self):
        check_random_state(self.random_state)
        check_option_param(self, "missing", ("error", "mask"))
        check_option_param(self, "decoding", ("posterior", "viterbi"))
        check_option_param(self, "layer", ("correlation", "partial"))
        check_option_param(self, "community_edges", ("partial", "significant", "layer"))
        check_scalar_param(self, "density", "float", 0, 1, closed="right")
        check_scalar_param(self, "damping", "float", 0, 1, closed="left")

    def _recordings(self, X, reset=False):
        if not reset:
            check_is_fitted(self)
        n = 2 if reset else 1
        recordings = check_recordings(self, X, reset=reset, missing=self.missing, min_times=n)
        if reset:
            warn_if_transposed(recordings)
            warn_if_repeated(recordings)
            warn_if_drifting(recordings)
        return recordings

    def _set_states(self, startprob, transmat, means, covariances, occupancy, *, sort=True):
        """Keep the parameters, the most frequent state first, and what follows from them."""
        order = np.argsort(-occupancy, kind="stable") if sort else np.arange(len(occupancy))
        self._order = order
        self.startprob_ = startprob[order]
        self.transmat_ = transmat[np.ix_(order, order)]
        self.means_ = means[order]
        self.covariances_ = covariances[order]
        self.state_samples_ = occupancy[order]
        self.occupancy_ = occupancy[order] / occupancy.sum()
        self._set_graphs()

    def _set_graphs(self):
        self.layers_, self.communities_ = communities_of(
            self, self.covariances_, self.state_samples_
        )
        self.visits_ = multiplex_walk(self.layers_, self.transmat_, self.damping)
        ranked = rank_communities(self.layers_, self.communities_, self.transmat_, self.damping)
        self.ranking_ = dict(vars(ranked))
        self.information_rate_ = information_rate(self.transmat_)
        self._n_features_out = len(self.startprob_)

    def _batch(self, recordings):
        """Recordings, each aligned by itself, in units near one; after a look at them."""
        prepared = self._prepared(recordings)
        self._doubt(prepared)
        return prepared.batch()

    def _doubt(self, prepared):
        """Say where states are not those of the recordings; baselines do not know."""

    def _prepared(self, recordings):
        center, spread = self._scale()
        aligner = self._aligner()
        if aligner.trivial:
            return Prepared(recordings, recordings, center, spread, aligner, {}, self._past)
        self._check_long_enough(recordings)
        dof = np.inf if self.emission == "gaussian" else ALIGN.robust_dof
        statics = [statics_of(part, dof) for part in recordings.parts]
        prepared = with_aligner(recordings, aligner, statics, {})
        return replace(prepared, center=center, spread=spread, order=self._past)

    @property
    def _past(self):
        """Samples of the past that an E-step needs."""
        return getattr(self, "order_", 0)

    def _aligner(self):
        """How recordings are made alike; baselines take them as they are."""
        alignment = getattr(self, "alignment_", "none")
        method, signs = parse(alignment)
        if alignment == "none":
            return Aligner("none", None)
        group = Static(0.0, self.group_mean_, self.group_covariance_)
        return Aligner(method, group, self.alignment_weight_, signs)

    def _check_long_enough(self, recordings):
        for i, part in enumerate(recordings.parts):
            n = int((~np.isnan(part).any(1)).sum())
            if n < ALIGN.least_samples:
                raise ValueError(
                    f"The model aligns each recording by its own moments (alignment_="
                    f"{self.alignment_!r}): at least {ALIGN.least_samples} samples without NaN. "
                    f"Got {n} in X[{i}]."
                )

    def _scale(self):
        """Center and spread of regions, so that numbers are near one."""
        center = self.occupancy_ @ self.means_
        variances = np.diagonal(self.covariances_, axis1=1, axis2=2)
        return center, np.sqrt(self.occupancy_ @ (variances + (self.means_ - center) ** 2))

    def _parameters(self):
        """Input of the E-step, in these units."""
        center, spread = self._scale()
        tails = getattr(self, "tails_", np.inf)
        logs = [np.log(np.maximum(p, TINY))[None] for p in (self.startprob_, self.transmat_)]
        if self._past:
            density = self._mar_density(center, spread)
        else:
            covariances = self.covariances_ / (spread[:, None] * spread)
            mean = ((self.means_ - center) / spread)[None]
            density = mean, *plug_in_density(covariances[None] / spread_of(tails))
        return *density, np.array([tails]), *logs

    def _mar_density(self, center, spread):
        """Density of autoregressive states in these units."""
        at_center = self.intercepts_ + self.coefficients_.sum(1) @ center - center
        coefficients = self.coefficients_ / spread[:, None] * spread
        noise = self.noise_covariances_ / (spread[:, None] * spread)
        return plug_in_mar(coefficients, at_center / spread, noise)

    def predict_proba(self, X: ArrayLike | Sequence[ArrayLike]) -> np.ndarray:
        """Probability of each state at each sample, given the whole recording.

        Parameters
        ----------
        X : array-like of shape (n_subjects, n_regions, n_times), list of (n_regions, n_times), or \
(n_times, n_regions)

        Returns
        -------
        probabilities : ndarray of shape (n_subjects, n_times, n_states), list of \
(n_times, n_states), or (n_times, n_states)
        """
        recordings = self._recordings(X)
        return recordings.split(self._probabilities(recordings))

    @one_blas_thread()
    def _probabilities(self, recordings):
        return self._batch(recordings).decode(*self._parameters())[0][:, 0]

    @one_blas_thread()
    def predict(self, X: ArrayLike | Sequence[ArrayLike]) -> np.ndarray:
        """State of each sample.

        Parameters
        ----------
        X : array-like of shape (n_subjects, n_regions, n_times), list of (n_regions, n_times), or \
(n_times, n_regions)

        Returns
        -------
        states : ndarray of int of shape (n_subjects, n_times), list of (n_times,), or (n_times,)
            The most probable state of each sample, or the most probable path for
            ``decoding="viterbi"``.
        """
        recordings = self._recordings(X)
        if self.decoding == "posterior":
            return recordings.split(self._probabilities(recordings).argmax(1))
        batch = self._batch(recordings)
        *density, log_start, log_trans = self._parameters()
        log_b = batch.log_density(*density)[0][:, 0]
        return recordings.split(viterbi(log_b, log_start[0], log_trans[0], batch.lengths))

    def transform(self, X: ArrayLike | Sequence[ArrayLike]) -> np.ndarray:
        """Occupancy of the states: one row for each row of X.

        Parameters
        ----------
        X : array-like of shape (n_subjects, n_regions, n_times), list of (n_regions, n_times), or \
(n_times, n_regions)

        Returns
        -------
        occupancy : ndarray of shape (n_subjects, n_states), or (n_times, n_states)
            The mean of the probabilities over each recording. The rows of a single recording are
            samples, so then it is the probabilities themselves.
        """
        recordings = self._recordings(X)
        probabilities = self._probabilities(recordings)
        if recordings.kind == "one":
            return probabilities
        parts = np.split(probabilities, np.cumsum(recordings.lengths)[:-1])
        return np.stack([part.mean(0) for part in parts])

    def get_feature_names_out(self, input_features: None = None) -> np.ndarray:
        """Names of the columns of ``transform``.

        Parameters
        ----------
        input_features : None
            Ignored.

        Returns
        -------
        names : ndarray of str
        """
        check_is_fitted(self)
        return np.array([f"state{k}" for k in range(len(self.startprob_))], dtype=object)

    @one_blas_thread()
    def score(self, X: ArrayLike | Sequence[ArrayLike], y: None = None) -> float:
        """Log-likelihood per sample, in nats: higher is better.

        Parameters
        ----------
        X : array-like of shape (n_subjects, n_regions, n_times), list of (n_regions, n_times), or \
(n_times, n_regions)
        y : None
            Ignored.

        Returns
        -------
        score : float
            The density is that of X in its own units; missing samples do not count.
        """
        recordings = self._recordings(X)
        prepared = self._prepared(recordings)
        batch = prepared.batch(prepared.crossed)
        log_likelihood = batch.decode(*self._parameters())[3][0]
        log_likelihood += prepared.volumes(prepared.crossed) * batch.n_present()
        return float(log_likelihood.sum() / max(1, batch.n_samples))

    def sample(
        self, n_times: int = 100, n_subjects: int = 1, random_state: RandomSeed = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw recordings from the model.

        Parameters
        ----------
        n_times, n_subjects : int
        random_state : int, RandomState instance or None, default=None
            None takes that of the model.

        Returns
        -------
        X : ndarray of shape (n_subjects, n_regions, n_times)
        states : ndarray of int of shape (n_subjects, n_times)
        """
        check_is_fitted(self)
        rng = check_random_state(self.random_state if random_state is None else random_state)
        states = np.empty((n_subjects, n_times), dtype=int)
        noise = rng.normal(size=(n_subjects, n_times, self.n_features_in_))
        uniform = rng.uniform(size=(n_subjects, n_times))
        steps = np.cumsum(self.transmat_, axis=1)[:, :-1]
        states[:, 0] = (uniform[:, :1] > np.cumsum(self.startprob_)[:-1]).sum(1)
        for t in range(1, n_times):
            states[:, t] = (uniform[:, t, None] > steps[states[:, t - 1]]).sum(1)
        if self._past:
            return self._sampled_mar(noise, states), states
        tails = getattr(self, "tails_", np.inf)
        if np.isfinite(tails):
            chi = rng.chisquare(tails, size=(n_subjects, n_times, 1))
            noise *= np.sqrt(tails / spread_of(tails) / chi)
        for k, factor in enumerate(np.linalg.cholesky(self.covariances_)):
            here = states == k
            noise[here] = noise[here] @ factor.T + self.means_[k]
        return np.ascontiguousarray(noise.transpose(0, 2, 1)), states

    def _sampled_mar(self, noise, states):
        factors = np.linalg.cholesky(self.noise_covariances_)
        X = np.einsum("rtij,rtj->rti", factors[states], noise)
        for t in range(X.shape[1]):
            now = states[:, t]
            X[:, t] += self.intercepts_[now]
            for lag in range(1, min(t, self._past) + 1):
                X[:, t] += np.einsum("rij,rj->ri", self.coefficients_[now, lag - 1], X[:, t - lag])
        return np.ascontiguousarray(X.transpose(0, 2, 1))

    def _region_names(self, names):
        """Names given, those of the columns of fit, or numbers."""
        names = getattr(self, "feature_names_in_", None) if names is None else names
        return region_names_of(names, self.n_features_in_)

    def community_table(self, region_names: Sequence[str] | None = None) -> DataFrame:
        """Communities of all states, the highest score first.

        Parameters
        ----------
        region_names : sequence of str, default=None
            None takes the columns of a DataFrame that was fitted, otherwise numbers.

        Returns
        -------
        table : DataFrame
            ``rank, state, community, score, occupancy, persistence, n_regions, regions``:
            occupancy is the share of time of the walk, persistence the probability to be in the
            community one step later, too, and score their product.
        """
        check_is_fitted(self)
        names = self._region_names(region_names)
        table = pd.DataFrame(
            {
                "rank": np.arange(1, len(self.ranking_["state"]) + 1),
                "state": self.ranking_["state"],
                "community": self.ranking_["label"],
                **{key: self.ranking_[key] for key in ("score", "occupancy", "persistence")},
                "n_regions": self.ranking_["size"],
            }
        )
        members = zip(table["state"], table["community"])
        table["regions"] = [
            tuple(names[i] for i in np.flatnonzero(self.communities_[k] == label))
            for k, label in members
        ]
        return table

    def state_graph(self, state: int, region_names: Sequence[str] | None = None) -> Graph:
        """One layer of the network.

        Parameters
        ----------
        state : int
        region_names : sequence of str, default=None
            None takes the columns of a DataFrame that was fitted, otherwise numbers.

        Returns
        -------
        graph : networkx.Graph
            Nodes are regions, with ``community`` and ``visits`` (of the walk); edges have
            ``weight``.
        """
        import networkx as nx

        check_is_fitted(self)
        if not 0 <= state < len(self.layers_):
            raise ValueError(f"state must be one of the {len(self.layers_)} states. Got {state!r}.")
        names = self._region_names(region_names)
        graph = nx.Graph(state=int(state))
        for i, name in enumerate(names):
            graph.add_node(
                name,
                community=int(self.communities_[state, i]),
                visits=float(self.visits_[state, i]),
            )
        for i, j in zip(*np.nonzero(np.triu(self.layers_[state]))):
            graph.add_edge(names[i], names[j], weight=float(self.layers_[state, i, j]))
        return graph

    def transition_graph(self) -> DiGraph:
        """States as nodes, transitions as edges.

        Returns
        -------
        graph : networkx.DiGraph
            Nodes have ``occupancy`` (long-run share of time), edges have ``weight``
            (probability).
        """
        import networkx as nx

        check_is_fitted(self)
        graph = nx.DiGraph()
        for k, share in enumerate(stationary(self.transmat_)):
            graph.add_node(k, occupancy=float(share))
        for k, to in np.ndindex(self.transmat_.shape):
            graph.add_edge(k, to, weight=float(self.transmat_[k, to]))
        return graph


def communities_of(model, covariances, counts):
    """Layers of a network, and their communities, by the parameters of a model.

    model (StateModel), covariances (n_states, n_regions, n_regions)
    counts (n_states,): Samples of each state.
    Returns layers (n_states, n_regions, n_regions), labels (n_states, n_regions) int
    """
    weights = correlations(covariances, partial=model.layer == "partial")
    layers = np.stack([strongest_edges(w, model.density) for w in weights])
    edges = layers
    if model.community_edges == "significant":
        least = GRAPH.significant / np.sqrt(np.maximum(counts, 1.0))
        edges = np.where(weights > least[:, None, None], weights, 0.0)
    elif model.community_edges == "partial":
        edges = np.maximum(shrunk_partial(covariances), 0.0)
    # One seed for all layers, so that the states alone decide.
    return layers, np.stack([louvain(e, w, 0) for e, w in zip(edges, weights)])


def region_names_of(names, n_regions):
    """Names as a list; numbers where there are none."""
    if names is None:
        return list(range(n_regions))
    names = list(names)
    if len(names) != n_regions or len(set(names)) != len(names):
        raise ValueError(
            f"region_names must be {n_regions} different names, one a region. Got {len(names)}, "
            f"{len(set(names))} of them different."
        )
    return names
