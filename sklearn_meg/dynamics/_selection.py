"""How many states: held-out likelihood, held-out entropy, stability, side by side."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.stats import entropy
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, check_cv

from .._checks.assumptions import warn_assumption
from .._repr import short_repr
from ._doubts import StateWarning
from ._generalization import returned
from ._recordings import as_arrays, is_list
from ._settings import DOUBTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._typing import ArrayLike, BaseCrossValidator, BaseEstimator

__all__ = ["select_n_states"]

STABLE_TOLERANCE = 0.01
LEAST_STABLE = 0.8  # adjusted Rand index, below which there is a warning
LEAST_SHARE = 0.01  # of the held-out samples, below which a state has collapsed
# Adjusted Rand index of the states of models of different folds, below which there is a warning.
# In 21 simulated worlds of 3 to 8 states, 17 right numbers have .89 to 1; two more of drifting
# regions .67 and .81 (there .82 and .93 of the samples are right); two wrong ones .24 and .71.
LEAST_AGREEMENT = 0.85
# The same, below which a number is left out if most of the fits are doubted, too. In autoregressive
# and 1/f noise, 2 to 5 states agree by .23 to .53.
OTHER_STATES = 0.5


@dataclass
class StateSelection:
    """Number of states by each rule.

    Attributes
    ----------
    n_states_ : int
        The recommended number: that of the likelihood.
    choices_ : dict
        The number that each rule chooses: ``likelihood, entropy, stability``.
    table_ : DataFrame
        One row a number of states: ``n_states``; ``loglik`` and ``loglik_sem``, the held-out
        log-likelihood per sample and the standard error over folds of its distance to the best;
        ``entropy``, of the held-out occupancies in nats; ``stability``, the mean adjusted Rand
        index of restarts; ``generalization``, that of the states of two halves of the recordings;
        ``agreement``, that of the states that models of different folds find in all recordings;
        ``doubts``, the share of folds in which states should not be believed (a `StateWarning`);
        ``smallest_share``, of a state in held-out samples; ``noise``, how much of what the states
        gain over a single one they gain in noise of the same spectra, too, which has no states.
    scores_ : ndarray of shape (n_numbers, n_folds)
        Held-out log-likelihood per sample.
    messages_ : list of str
        Warnings that were raised.
    flat_ : tuple of int
        Numbers, from fewest to most, that one standard error does not tell from the best.
    """

    n_states_: int
    choices_: dict
    table_: pd.DataFrame
    scores_: np.ndarray
    messages_: list
    flat_: tuple = ()

    __repr__ = short_repr


def select_n_states(
    model: BaseEstimator,
    X: ArrayLike | Sequence[ArrayLike],
    n_states: Sequence[int] = (1, 2, 3, 4, 5, 6, 7, 8),
    *,
    cv: int | BaseCrossValidator | None = None,
    tolerance: float = 0.02,
    n_jobs: int | None = None,
) -> StateSelection:
    """Cross-validate the number of states over recordings, by three rules.

    - likelihood, the recommended rule: the fewest states whose held-out log-likelihood is not
      more than one standard error (of the paired differences over folds) below the highest.
    - entropy: the fewest states whose held-out occupancies have an entropy within `tolerance` of
      the highest. This is the maximum-entropy rule of the paper [1]_; without a tolerance it takes
      too many states.
    - stability: the most states, of more than one, on which restarts agree as well as on any number
      (adjusted Rand index within 0.01 of the highest).

    Numbers with which a state has collapsed, to less than 1 % of the held-out samples, are left
    out; so are those whose states explain noise without states nearly as well, and those with which
    models of folds find different states and fits are doubted. How recordings are aligned, and the
    emission, are chosen once, so that all numbers are compared in the same way.

    Parameters
    ----------
    model : HiddenMarkovGraph or another state model
        Fitted to clones; its own ``n_states`` does not matter.
    X : array-like of shape (n_subjects, n_regions, n_times), or list of (n_regions, n_times)
        A single recording (n_times, n_regions) is cut into five pieces.
    n_states : sequence of int, default=(1, 2, 3, 4, 5, 6, 7, 8)
    cv : int, splitter or None, default=None
        Folds over recordings; None is one recording out for up to five, five folds above.
    tolerance : float, default=0.02
        Share of the highest entropy.
    n_jobs : int, default=None
        joblib's.

    Returns
    -------
    selection : StateSelection

    Raises
    ------
    ValueError
        For numbers that are not increasing, a tolerance outside [0, 1), or fewer than two
        recordings.

    Warns
    -----
    UserWarning
        Where the chosen number is the largest that was tried, restarts or models of different
        folds disagree, a state has collapsed, or states should not be believed. Where rules
        disagree or the curve is flat, unless models of different folds find the same states with
        the chosen number, and no more alike ones with a larger number in question.

    References
    ----------
    .. [1] Wilsenach, Warnaby, Deane, Reinert (2022), Ranking of communities in multiplex
       spatiotemporal models of brain dynamics, arXiv 2203.09281.

    Examples
    --------
    >>> from sklearn_meg.dynamics import HiddenMarkovGraph, select_n_states
    >>> from sklearn_meg.datasets import make_states
    >>> data = make_states("easy", n_states=3, n_subjects=4, n_times=300, n_regions=15)
    >>> model = HiddenMarkovGraph(n_init=3, random_state=0)
    >>> selection = select_n_states(model, data.X, (1, 2, 3, 4), tolerance=0.1)
    >>> selection.n_states_
    3
    """
    numbers = _check_numbers(n_states, tolerance)
    recordings = _as_list(X)
    splits = _splits(cv, recordings)
    model = _settled(model, recordings, numbers)
    jobs = [(k, train, test) for k in numbers for train, test in splits]
    parallel = Parallel(n_jobs=n_jobs)
    found = parallel(delayed(_one)(model, recordings, *job) for job in jobs)
    shape = len(numbers), len(splits)
    scores, stable, returns, doubts = (
        np.array([f[i] for f in found]).reshape(shape) for i in (0, 1, 3, 4)
    )
    folds = [found[i * shape[1] : (i + 1) * shape[1]] for i in range(shape[0])]
    table = _table(numbers, scores, stable, [_mean_shares(f) for f in folds])
    table["agreement"] = [_agreement(k, f) for k, f in zip(numbers, folds)]
    table["generalization"], table["doubts"] = returns.mean(1), doubts.mean(1)
    table["noise"] = [np.mean([f[6] for f in fold]) for fold in folds]
    alive = _alive(table)
    choices = {
        "likelihood": _by_likelihood(alive),
        "entropy": _by_entropy(alive, tolerance),
        "stability": _by_stability(alive),
    }
    flat = _flat(alive)
    messages = _messages(table, choices, flat)
    for message in messages:
        warn_assumption("doubtful-selection", message)
    return StateSelection(choices["likelihood"], choices, table, scores, messages, flat)


def _check_numbers(n_states, tolerance):
    numbers = [n_states] if np.ndim(n_states) == 0 else list(n_states)
    if not numbers or (np.diff(numbers) <= 0).any() or numbers[0] < 1:
        raise ValueError(f"n_states must be increasing numbers from 1. Got {n_states!r}.")
    if not 0 <= tolerance < 1:
        raise ValueError(f"tolerance must be in [0, 1). Got {tolerance!r}.")
    return [int(k) for k in numbers]


def _as_list(X):
    X = as_arrays(X)
    if is_list(X):
        return list(X)
    X = np.asarray(X)
    if X.ndim == 3:
        return list(X)
    if X.ndim == 2:
        return [np.ascontiguousarray(part.T) for part in np.array_split(X, 5)]
    raise ValueError(
        "X must be (n_subjects, n_regions, n_times), a list of (n_regions, n_times), or "
        f"(n_times, n_regions). Got {X.ndim} dimension(s)."
    )


def _splits(cv, recordings):
    n = len(recordings)
    if n < 2:
        raise ValueError(f"X must have at least two recordings to leave one out. Got {n}.")
    cv = KFold(min(n, 5)) if cv is None else check_cv(cv)
    return list(cv.split(np.zeros((n, 1))))


def _settled(model, recordings, numbers):
    """The model with the alignment and emission that it chooses at a middle number of states."""
    automatic = [p for p in ("align", "emission") if getattr(model, p, None) == "auto"]
    if not automatic:
        return model
    fitted = clone(model).set_params(n_states=numbers[len(numbers) // 2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted.fit(recordings)
    found = {"align": fitted.alignment_, "emission": fitted.emission_}
    return clone(model).set_params(**{name: found[name] for name in automatic})


def _one(model, recordings, k, train, test):
    """Score, stability, occupancies, generalization, doubts, all states, share of noise."""
    tested = [recordings[i] for i in test]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", StateWarning)
        fitted = clone(model).set_params(n_states=k).fit([recordings[i] for i in train])
        shares = fitted.transform(tested)
        states = np.concatenate(fitted.predict(recordings)).astype(np.int16)
    occupancy = np.array([r.shape[1] for r in tested]) @ shares
    doubtful = len(getattr(fitted, "warnings_", ())) > 0
    returns = getattr(fitted, "generalization_", np.nan)
    stability = getattr(fitted, "stability_", 1.0)
    noise = getattr(fitted, "_noise_share", 0.0)
    return fitted.score(tested), stability, occupancy, returns, doubtful, states, noise


def _mean_shares(found):
    """Held-out shares of the states, sorted within each fold, and their entropy."""
    shares = [np.sort(f[2])[::-1] / f[2].sum() for f in found]
    return float(np.mean([entropy(s) for s in shares])), np.mean(shares, axis=0)


def _agreement(n_states, found):
    """Mean adjusted Rand index of the states that models of different folds find."""
    pairs = combinations([f[5] for f in found], 2)
    return float(np.mean([returned(*pair, n_states) for pair in pairs] or [1.0]))


def _table(numbers, scores, stable, shares):
    best = scores[np.argmax(scores.mean(1))]
    below = best - scores
    sem = below.std(axis=1, ddof=1) / np.sqrt(scores.shape[1]) if scores.shape[1] > 1 else 0.0
    return pd.DataFrame(
        {
            "n_states": numbers,
            "loglik": scores.mean(1),
            "loglik_sem": sem,
            "entropy": [h for h, _ in shares],
            "stability": stable.mean(1),
            "smallest_share": [s.min() for _, s in shares],
        }
    )


def _alive(table):
    """Numbers that can be believed; all where there are none."""
    collapsed = table["smallest_share"] < LEAST_SHARE
    alive = table[~(collapsed | _of_noise(table) | _of_folds(table))]
    return table if alive.empty else alive


def _of_noise(table):
    """Whether noise without states would have these states, for each number."""
    return table["noise"] > DOUBTS.stationary


def _of_folds(table):
    """Whether models of folds, most of them doubted, find different states."""
    return (table["agreement"] < OTHER_STATES) & (table["doubts"] > 0.5)


def _by_likelihood(table):
    below = table["loglik"].max() - table["loglik"]
    return int(table["n_states"][(below <= table["loglik_sem"]).idxmax()])


def _by_entropy(table, tolerance):
    enough = table["entropy"] >= (1 - tolerance) * table["entropy"].max()
    return int(table["n_states"][enough.idxmax()])


def _by_stability(table):
    several = table[table["n_states"] > 1]
    if several.empty:
        return int(table["n_states"].max())
    stable = several["stability"] >= several["stability"].max() - STABLE_TOLERANCE
    return int(several["n_states"][stable].max())


def _flat(table):
    """Numbers that are not clearly worse than the best."""
    near = table["loglik"].max() - table["loglik"] <= table["loglik_sem"]
    return tuple(int(k) for k in table["n_states"][near])


def _singled_out(table, chosen, others):
    """Whether models of different folds agree on so many states, and not better on more.

    That a state alone comes back says nothing.
    """
    agreement = table.set_index("n_states")["agreement"]
    most = max([agreement[k] for k in others if k > chosen], default=0.0)
    return chosen > 1 and agreement[chosen] >= max(LEAST_AGREEMENT, most - STABLE_TOLERANCE)


def _messages(table, choices, flat):
    chosen = choices["likelihood"]
    row = table.set_index("n_states").loc[chosen]
    messages = []
    sure = _singled_out(table, chosen, [*choices.values(), *flat])
    if len(set(choices.values())) > 1 and not sure:
        says = ", ".join(f"{rule} {k}" for rule, k in choices.items())
        messages.append(f"The rules disagree on the number of states: {says}.")
    if chosen == table["n_states"].max() and len(table) > 1:
        messages.append(f"{chosen} states is the largest number tried: try more.")
    if row["stability"] < LEAST_STABLE:
        messages.append(
            f"Restarts with {chosen} states disagree (adjusted Rand index {row['stability']:.2f})."
        )
    if row["agreement"] < LEAST_AGREEMENT:
        messages.append(
            f"Models of different folds find different states with {chosen} of them (adjusted Rand "
            f"index {row['agreement']:.2f})."
        )
    if row["smallest_share"] < LEAST_SHARE:
        messages.append(
            f"With {chosen} states one of them has collapsed: {row['smallest_share']:.2%} of the "
            "held-out samples."
        )
    if len(flat) > 2 and not sure:
        messages.append(
            f"The curve is flat: {', '.join(map(str, flat))} states are within one standard error "
            "of the best."
        )
    for which, why in (
        (_of_noise(table), "they explain noise without states nearly as well"),
        (_of_folds(table), "folds find different ones, and most fits are doubted"),
    ):
        which &= table["loglik"] > row["loglik"]
        if which.any():
            numbers = ", ".join(map(str, table["n_states"][which]))
            messages.append(f"{numbers} states are left out: {why}.")
    if chosen == 1 and len(table) > 1:
        messages.append("No number of states that can be believed is clearly likelier than one.")
    if row["doubts"] > 0.5:
        messages.append(
            f"States should not be believed with {chosen} of them: see StateWarning in a fit."
        )
    return messages
