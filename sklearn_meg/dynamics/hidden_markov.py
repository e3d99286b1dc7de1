"""The hidden Markov model of regional activity, and the network that its states are."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._checks.params import (
    check_bool_param,
    check_option_param,
    check_path_param,
    check_random_state,
    check_scalar_param,
    check_verbose_param,
)
from .._checks.unusual import UnusualMixin
from .._params import documented
from .._saving.checkpoint import Journal, checkpoint_of
from .._training.threads import one_blas_thread
from ._alignment_choice import ALIGNMENTS, name_of
from ._base import StateModel
from ._difference import states_that_differ
from ._doubts import doubts, quiet, too_few, warn_of, warn_of_rhythms, warn_of_unlike
from ._dual import dual_estimates
from ._em import Settings, m_step, shaped_parameters
from ._fit import find_states, with_order
from ._foreign import Gains, warn_if_foreign, whole_of
from ._known import check_fixed, check_known, known_parts, states_of
from ._mar import sample_covariances
from ._prepare import prepare, standardization
from ._race import first_tails
from ._starts import KINDS, check_windows, given_states
from ._stationary import stationary
from ._tails import spread_of
from ._unusual import Refit, rows_of, scores, usual_features, usual_levels, usual_scores

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    from .._typing import ArrayLike, PathLike, Self

# Variational Bayes with a weak prior, from clustered samples; the number of states by
# select_n_states(..., rule="entropy").
PAPER_PARAMS: dict[str, Any] = {
    "emission": "gaussian",
    "align": "none",
    "method": "variational",
    "covariance": "full",
    "init": "kmeans",
    "n_init": 5,
    "community_edges": "layer",
}


@documented
@dataclass(kw_only=True, eq=False, repr=False)
class HiddenMarkovGraph(UnusualMixin, StateModel):
    """Brain states by a Gaussian hidden Markov model, read as a network of ranked communities.

    States have a mean and a covariance of the regions, and follow a Markov chain. Each is a layer
    of a network, whose communities are ranked by a walk through states and regions [1]_.

    Parameters
    ----------
    n_states : int, default=4
        Number of states, see :func:`select_n_states`.
    method : {"variational", "maximum_likelihood"}, default="variational"
        Variational Bayes [2]_, or penalized maximum likelihood.
    covariance : {"low_rank", "shrunk", "full"}, default="low_rank"
        "shrunk": towards independent regions of equal variance, as much as the marginal likelihood
        wants. "low_rank": then towards a factor model, and as far towards one state of all samples
        as makes held-out recordings likeliest; means, too. "full": as the samples are.
    rank : int, default=None
        Factors of "low_rank"; None chooses.
    prior_weight : float, default=None
        Samples that the prior covariance counts as, above ``n_regions + 1``; None chooses.
    means : bool, default=True
        Whether states differ in their means, too, or in covariance only, about the mean of all.
    emission : {"auto", "gaussian", "t", "mar"}, default="auto"
        Distribution of the samples in a state. "t" has heavy tails, of degrees of freedom that are
        learned: bad samples hardly count. "auto" takes it where recordings left out are clearly
        likelier than with "gaussian". "mar": an autoregressive model of all regions, so that states
        differ in spectrum and lags; never chosen by itself, as it is another kind of state.
    order : int, default=None
        Samples of the past that "mar" regresses on; None takes the one, of 1, 2, 3, 5 and 8, with
        which recordings left out are likeliest.
    align : {"auto", "none", "zscore", "covariance", "signs", "signs+zscore", \
"signs+covariance"}, default="auto"
        Alignment of the recordings before, see :class:`RecordingAlignment`. New recordings are
        aligned by themselves.
    transition_prior : float, default=1.0
        Dirichlet parameter of every transition.
    stay_prior : float, default=0.0
        Dirichlet parameter added for transitions of a state to itself: favors long visits.
    n_init : int, default=8
        Number of restarts: all iterated a little, the best to the end. A state that came out empty
        then begins anew as a part of another, if that is better.
    init : {"auto", "windows", "kmeans", "unit", "random"}, dict or array-like, default="auto"
        Clusters of the moments of short windows, of samples, of samples of unit norm, or chance.
        "auto" tries all; kinds whose states come back in halves of the recordings are kept, and of
        these the restarts that make recordings likely which they have not seen. An
        array of states (int), one for each sample of X as ``predict`` returns them (-1: unknown),
        is the only start; so is a dict of ``means``, ``covariances``, and perhaps ``transmat`` and
        ``startprob``. `n_init` does not count then.
    windows : sequence of int, default=(8, 12, 20)
        Lengths of these windows in samples, taken in turn by the restarts.
    max_iter : int, default=200
        Largest number of iterations.
    tol : float, default=1e-4
        Smallest rise of the objective per sample, in nats, with which iterations go on.
    batch_size : int, default=None
        Number of recordings in memory at a time: stochastic updates, then some exact passes. Pass a
        list of memory-mapped arrays, or a mapped 3-D array. None takes all.
    %(StateParams)s
    verbose : int, default=0
        1 prints the objective of each iteration.
    cache_dir : path-like or None, default=None
        Folder in which iterations are kept, so that the same fit goes on there after it was killed,
        to the same states; `random_state` must be an int.
    fixed : sequence of {"startprob", "transmat", "means", "covariances"}, default=()
        Parameters of the dict `init` that stay as they are; states then keep their order.
        Recordings are not aligned if means or covariances stay, and states are Gaussian.

    Attributes
    ----------
    startprob_ : ndarray of shape (n_states,)
    transmat_ : ndarray of shape (n_states, n_states)
        Row: from; column: to. The state with the most samples is state 0.
    means_ : ndarray of shape (n_states, n_regions)
    covariances_ : ndarray of shape (n_states, n_regions, n_regions)
    occupancy_, state_samples_ : ndarray of shape (n_states,)
        Share of the samples, and their number.
    layers_ : ndarray of shape (n_states, n_regions, n_regions)
        Edge weights.
    communities_ : ndarray of int of shape (n_states, n_regions)
        Community of each region.
    visits_ : ndarray of shape (n_states, n_regions)
        Share of time of the walk.
    ranking_ : dict of ndarray
        ``state, label, score, occupancy, persistence, size`` of all communities, the highest score
        first; a table by :meth:`community_table`.
    information_rate_ : float
        Entropy rate of the chain of states, in nats a sample.
    objective_ : float
        Per sample, in nats: evidence lower bound, or penalized log-likelihood.
    history_ : ndarray
        The objective of the best restart, by iteration.
    restart_scores_ : ndarray
        Objective of the restarts that went to the end.
    stability_ : float
        Mean adjusted Rand index of the states of these restarts and those of the best.
    rank_, common_, inflation_ : int, float, float
        Chosen factor models: factors, share of one model of all states, widening of covariances.
    difference_, difference_scores_ : float, dict of ndarray
        How much of their differences covariances keep (1: all), and scores of what was left out.
    prior_weight_ : float
    alignment_ : str
        The chosen `align`.
    alignment_scores_ : dict of ndarray
        As ``scores_`` of :class:`RecordingAlignment`.
    alignment_weight_, group_mean_, group_covariance_ : float, ndarray, ndarray
        As those of :class:`RecordingAlignment`.
    emission_, tails_ : str, float
        The chosen `emission`, and its degrees of freedom; infinite for Gaussian states.
        ``covariances_`` take them into account; below 2.1, where there are none, as 2.1.
    order_, order_scores_ : int, dict
        The order of "mar" (0 for others), and left-out log-likelihoods of those tried.
    coefficients_, intercepts_, noise_covariances_ : ndarray
        With "mar" only, of shape (n_states, order, n_regions, n_regions), (n_states, n_regions) and
        (n_states, n_regions, n_regions): regression on the past, and covariance of what is left.
        ``means_`` and ``covariances_`` are then the moments of the samples.
    emission_scores_ : dict
        Left-out log-likelihood per sample by emission, where both were tried.
    start_scores_ : dict of ndarray
        For each restart its ``kind``, the ``loglik`` per sample of recordings it has not seen, and
        of its kind ``rand`` and ``means``: how alike states of two halves of the recordings are.
        ``loglik`` is of one restart of each kind whose states come back, NaN of others.
    generalization_, generalization_means_ : float
        Both of the chosen kind: adjusted Rand index of the states that two halves of the
        recordings, fitted apart, find in all samples; correlation of matched means.
    generalization_confirmed_ : float
        The index again, of halves whose fits begin with the states that were found.
    recording_means_, recording_covariances_, recording_transmats_ : ndarray
        Arrays of shape (n_recordings, n_states, ...): the states of each recording, in its own
        units and before it was aligned, shrunk to those of all.
    recording_samples_, recording_visits_ : ndarray of shape (n_recordings, n_states)
        Expected samples in each state, and how often it is entered.
    usual_scores_, usual_features_, usual_lengths_ : ndarray
        By what ``is_unusual`` judges recordings: how far those of the fit are from each other, each
        under the states of the others, in log-likelihood, switching, variances and dependence on
        the sample before. Fewer than four recordings are cut into blocks of time, which tell less.
    warnings_ : ndarray of str
        Why the states should not be believed; empty where nothing speaks against them. There is a
        warning of each, except of recordings of fewer than 200 samples in all.
    n_iter_, n_features_in_ : int
        Iterations; regions.
    converged_ : bool

    Raises
    ------
    ValueError
        In ``fit``: NaN (unless masked), recordings with other regions or fewer than two samples,
        constant regions, too few samples for the states, a covariance that is singular.

    Warns
    -----
    StateWarning
        Where states are recordings, are nearly empty, are held by a few stretches of time, or do
        not come back in halves of the recordings (of a single one, in every other block of time);
        and where recordings have states of other rhythms, which only "mar" or
        :class:`TimeDelayEmbedding` would see. In ``predict``, ``predict_proba`` and
        ``transform`` where one state explains new recordings nearly as well (not for "mar").

    See Also
    --------
    select_n_states : How many states.

    References
    ----------
    .. [1] Wilsenach, Warnaby, Deane, Reinert (2022), Ranking of communities in multiplex
       spatiotemporal models of brain dynamics, arXiv 2203.09281.
    .. [2] Bishop (2006), Pattern recognition and machine learning, sections 10.2 and 13.2.

    Examples
    --------
    >>> from sklearn_meg.dynamics import HiddenMarkovGraph
    >>> from sklearn_meg.dynamics.metrics import state_accuracy
    >>> from sklearn_meg.datasets import make_states
    >>> data = make_states("easy", n_subjects=2, n_times=600)
    >>> model = HiddenMarkovGraph(n_states=4, random_state=0).fit(data.X)
    >>> model.predict(data.X).shape
    (2, 600)
    >>> state_accuracy(data.states, model.predict(data.X)) > 0.98
    True
    >>> list(model.community_table().columns[:4])
    ['rank', 'state', 'community', 'score']
    """

    n_states: int = 4
    method: Literal["variational", "maximum_likelihood"] = "variational"
    covariance: Literal["low_rank", "shrunk", "full"] = "low_rank"
    rank: int | None = None
    prior_weight: float | None = None
    means: bool = True
    emission: Literal["auto", "gaussian", "t", "mar"] = "auto"
    order: int | None = None
    align: str = "auto"
    transition_prior: float = 1.0
    stay_prior: float = 0.0
    n_init: int = 8
    init: Literal["auto", "windows", "kmeans", "unit", "random"] | dict | ArrayLike = "auto"
    windows: Sequence[int] = (8, 12, 20)
    max_iter: int = 200
    tol: float = 1e-4
    batch_size: int | None = None
    verbose: int = 0
    cache_dir: PathLike | None = None
    fixed: Sequence[str] = ()

    @one_blas_thread()
    def fit(self, X: ArrayLike | Sequence[ArrayLike], y: None = None) -> Self:
        """Find the states, and the network.

        Parameters
        ----------
        X : array-like of shape (n_subjects, n_regions, n_times), list of (n_regions, n_times), or \
(n_times, n_regions)
            The order of the recordings does not matter.
        y : None
            Ignored.

        Returns
        -------
        self : object
        """
        self._check_parameters()
        given = self._recordings(X, reset=True)
        if isinstance(self.init, dict):
            check_known(self.init, self.fixed, self.n_states, self.n_features_in_)
        elif not isinstance(self.init, str):
            given.states = given_states(self.init, given, self.n_states)
        order = given.order()
        recordings = given.pick(order)
        settings = self._settings(self.n_features_in_)
        rng = check_random_state(self.random_state)
        journal = Journal(checkpoint_of(self, recordings.parts), rng)
        try:
            prepared, refit = self._fit(recordings, settings, rng, journal)
        except np.linalg.LinAlgError as error:
            raise ValueError(
                f"The covariance of a state became singular ({error}): too few samples for "
                f"{self.n_states} states, or regions that are sums of others. Use fewer states "
                "or covariance='shrunk'."
            ) from error
        self._keep_recordings(prepared, order, refit)
        return self

    def _fit(self, recordings, settings, rng, journal):
        scale = standardization(recordings, self.n_states, self.covariance)
        robust = self.emission != "gaussian"
        held = {"means", "covariances"} & set(self.fixed)
        align = "none" if held else self.align
        prepared = prepare(recordings, align, robust and not held, scale)
        if isinstance(self.init, dict):
            prepared, settings = self._with_known(prepared, settings, held)
        prepared, settings, self.order_scores_ = with_order(prepared, settings, self.order, rng)
        found = find_states(prepared, settings, self.batch_size, rng, journal)
        self._keep_course(prepared, found)
        shape = self._keep(prepared, found)
        return prepared, Refit(found.run.prior, found.settings, shape)

    def _with_known(self, prepared, settings, held):
        """What begins with given parameters, of which some stay."""
        given = check_known(self.init, self.fixed, self.n_states, self.n_features_in_)
        states = states_of(prepared, given)
        known = known_parts(given, self.fixed, prepared.center, prepared.spread)
        prepared.recordings.states = states
        if not self.fixed:
            return prepared, settings
        emission = "gaussian" if held else settings.emission
        tails = first_tails(emission)
        settings = replace(settings, known=known, emission=emission, tails=tails)
        return replace(prepared, known=known), settings

    def _keep_recordings(self, prepared, order, refit):
        """The states as each recording has them, in the order of X; warn of doubtful ones."""
        prepared = replace(prepared, **dict(zip(("center", "spread"), self._scale())))
        self._usual_levels = usual_levels(prepared)
        gains = Gains(prepared, whole_of(self))
        *usual, self._usual_gain = usual_features(
            prepared, self._parameters(), refit, self._usual_levels, gains
        )
        self.usual_features_, self.usual_lengths_ = usual
        self.usual_scores_ = usual_scores(*usual)
        prepared = replace(prepared, known=None)
        group = self.means_, self.covariances_, self.transmat_
        found = dual_estimates(prepared, self._parameters(), group, self.prior_weight_)
        back = np.argsort(order)
        for name, value in found.items():
            setattr(self, f"recording_{name}_", None if value is None else value[back])
        agree = self.generalization_, self.generalization_confirmed_
        doubtful = doubts(found["samples"], found["visits"], self.covariances_, *agree)
        doubtful += quiet(prepared, self._parameters(), found["samples"])
        doubtful += stationary(self, prepared, found["samples"])
        warn_of(doubtful, self.alignment_)
        doubtful += too_few(found["samples"]) + warn_of_rhythms(self._rhythms)
        doubtful += warn_of_unlike(self.usual_features_, order, self.n_features_in_)
        self.warnings_ = np.array(doubtful, dtype=str)

    @one_blas_thread()
    def _unusual_scores(self, X):
        prepared, parameters = self._prepared(self._recordings(X)), self._parameters()
        if not len(self.usual_scores_):
            return np.zeros(len(prepared.recordings.parts))
        rows = rows_of(prepared, parameters, self._usual_levels)
        lengths = prepared.recordings.lengths
        return scores(rows, lengths, self.usual_features_, self.usual_lengths_)

    def _doubt(self, prepared):
        warn_if_foreign(self, prepared)

    def _keep_course(self, prepared, found):
        """What was compared, and how it ended."""
        aligner, run = prepared.aligner, found.run
        self.alignment_ = name_of(aligner)
        self.alignment_scores_ = prepared.table
        self.alignment_weight_ = float(aligner.weight)
        group = aligner.group
        self.group_mean_ = None if group is None else group.mean
        self.group_covariance_ = None if group is None else group.covariance
        self.start_scores_ = found.starts
        self.emission_, self.emission_scores_ = found.settings.emission, found.emissions
        self.tails_ = float(run.prior.tails[0])
        self.restart_scores_, self.stability_ = found.restarts, found.stability
        self.generalization_ = found.halves.rand
        self.generalization_means_ = found.halves.means
        self.generalization_confirmed_ = found.confirmed
        self._rhythms = found.rhythms
        self.objective_ = float(run.objective.max())
        self.history_ = np.array(run.history)
        self.n_iter_, self.converged_ = len(run.history), bool(run.converged)
        self.prior_weight_ = float(run.prior.dof[0])
        if not run.converged and self.batch_size is None:
            warnings.warn(
                f"No convergence in {self.max_iter} iterations: raise max_iter or tol.",
                ConvergenceWarning,
            )

    def _keep(self, prepared, found):
        """The states, in the units of aligned recordings."""
        run, settings = found.run, found.settings
        expected, prior = run.expected, run.prior
        self.order_, self.difference_, self.difference_scores_ = settings.order, 1.0, {}
        if settings.order:
            self._keep_mar(prepared, run, settings)
            return None
        states, *_ = m_step(expected, prior, settings)
        mean, covariance = states.mean[0], self._widened(states)
        self.rank_, self.common_, self.inflation_, shape = 0, 0.0, 1.0, None
        if self.covariance == "low_rank" and "covariances" not in self.fixed:
            expected, shape, self.difference_scores_ = states_that_differ(prepared, found)
            self.difference_ = 1.0 if shape.tone is None else shape.tone.covariances
            mean, covariance = shaped_parameters(expected, prior, shape)
            self.rank_, self.inflation_ = int(shape.rank), float(shape.inflation)
            self.common_ = float(shape.common)
        start = expected.starts[0] + prior.start
        trans = expected.transitions[0] + prior.trans
        spread = prepared.spread
        found = {
            "startprob": start / start.sum(),
            "transmat": trans / trans.sum(1, keepdims=True),
            "means": prepared.center + mean * spread,
            "covariances": covariance * spread[:, None] * spread * spread_of(self.tails_),
        }
        found |= {name: np.array(self.init[name], dtype=float) for name in self.fixed}
        self._set_states(**found, occupancy=expected.moments[0][0], sort=not self.fixed)
        return shape

    def _keep_mar(self, prepared, run, settings):
        """Autoregressive states: coefficients, and the moments of the samples in each state."""
        expected, spread, d = run.expected, prepared.spread, self.n_features_in_
        states, prior, (mean, whole, *_), _ = m_step(expected, run.prior, settings)
        covariance = sample_covariances(expected.moments, prior, d)
        weights = -(whole[0, :, d:] @ np.linalg.inv(whole[0, :, :d])).swapaxes(-1, -2)
        intercepts = mean[0, :, :d] - np.einsum("kij,kj->ki", weights, mean[0, :, d:])
        past = np.tile(prepared.center, settings.order)
        weights = weights * (spread[:, None] / np.tile(spread, settings.order))
        intercepts = prepared.center + intercepts * spread - weights @ past
        noise = self._widened(states) * spread[:, None] * spread
        start, trans = expected.starts[0] + prior.start, expected.transitions[0] + prior.trans
        self.rank_, self.common_, self.inflation_ = 0, 0.0, 1.0
        self._set_states(
            start / start.sum(),
            trans / trans.sum(1, keepdims=True),
            prepared.center + mean[0, :, :d] * spread,
            covariance * spread[:, None] * spread,
            expected.moments[0][0],
        )
        shape = len(weights), d, settings.order, d
        self.coefficients_ = weights.reshape(shape).transpose(0, 2, 1, 3)[self._order]
        self.intercepts_, self.noise_covariances_ = intercepts[self._order], noise[self._order]

    def _widened(self, states):
        """Covariances: the posterior means under a prior that shrinks."""
        extra = self.n_features_in_ + 1 if self.covariance != "full" else 0
        return (states.scatter / (states.dof - extra)[..., None, None])[0]

    def _settings(self, n_regions):
        weight = self.prior_weight
        if weight is not None and weight <= n_regions + 1:
            raise ValueError(
                f"The 'prior_weight' parameter must be above n_regions + 1 = {n_regions + 1}. "
                f"Got {weight!r}."
            )
        return Settings(
            n_states=self.n_states,
            variational=self.method == "variational",
            covariance=self.covariance,
            rank=self.rank,
            prior_weight=weight,
            means=self.means,
            transition_prior=self.transition_prior,
            stay_prior=self.stay_prior,
            n_init=self.n_init if isinstance(self.init, str) else 1,
            init=self.init if isinstance(self.init, str) else "given",
            windows=tuple(self.windows),
            max_iter=self.max_iter,
            tol=self.tol,
            emission=self.emission,
            tails=first_tails(self.emission),
            verbose=self.verbose,
        )

    def _check_parameters(self):
        self._check_common()
        check_option_param(self, "method", ("variational", "maximum_likelihood"))
        check_option_param(self, "covariance", ("low_rank", "shrunk", "full"))
        if isinstance(self.init, str) or not np.iterable(self.init):
            check_option_param(self, "init", ("auto", *sorted(set(KINDS))))
        check_option_param(self, "align", ALIGNMENTS)
        check_option_param(self, "emission", ("auto", "gaussian", "t", "mar"))
        check_fixed(self)
        check_scalar_param(self, "order", "int", 1, allow_none=True)
        check_bool_param(self, "means")
        check_verbose_param(self)
        check_path_param(self, "cache_dir")
        for name in ("n_states", "n_init", "max_iter"):
            check_scalar_param(self, name, "int", 1)
        for name in ("rank", "batch_size"):
            check_scalar_param(self, name, "int", 1, allow_none=True)
        check_scalar_param(self, "prior_weight", "float", 0, closed="neither", allow_none=True)
        check_scalar_param(self, "transition_prior", "float", 0, closed="neither")
        check_scalar_param(self, "stay_prior", "float", 0)
        check_scalar_param(self, "tol", "float", 0)
        check_windows(self.windows)
