"""When found states should not be believed: they are recordings, nearly empty, or do not return."""

from __future__ import annotations

import numpy as np
from scipy.stats import t as student

from .._checks.assumptions import warn_assumption
from ..exceptions import AssumptionWarning
from ._settings import DOUBTS, RHYTHM
from ._tails import quiet_share


class StateWarning(AssumptionWarning):
    """Warning that states are not reliable.

    Parameters
    ----------
    message, code, remedy
        As in :class:`~sklearn_meg.exceptions.AssumptionWarning`.

    Examples
    --------
    >>> import warnings
    >>> from sklearn_meg.dynamics import StateWarning
    >>> warnings.simplefilter("error", StateWarning)  # never overlook one
    >>> warnings.simplefilter("default", StateWarning)
    """


def recording_table(gamma, lengths, present):
    """Expected samples of each state in each recording, and how often each state is entered.

    gamma (n_samples, n_states), lengths (sequence of int), present (n_samples,) bool
    Returns samples, visits (n_recordings, n_states)
    """
    n_states = gamma.shape[1]
    samples, visits = np.zeros((2, len(lengths), n_states))
    ends = np.cumsum(lengths)
    for r, (start, end) in enumerate(zip(ends - lengths, ends)):
        samples[r] = gamma[start:end][present[start:end]].sum(0)
        states = gamma[start:end].argmax(1)
        entered = states[np.r_[True, states[1:] != states[:-1]]]
        visits[r] = np.bincount(entered, minlength=n_states)
    return samples, visits


def shared_information(samples):
    """Share of the entropy of the states that the recording explains, from 0 to 1."""
    p = samples / max(samples.sum(), 1e-300)
    expected = p.sum(1, keepdims=True) * p.sum(0, keepdims=True)
    there = p > 0
    information = (p[there] * np.log(p[there] / expected[there])).sum()
    share = p.sum(0)
    entropy = -(share[share > 0] * np.log(share[share > 0])).sum()
    return float(information / entropy) if entropy > 1e-12 else 0.0


def chance_information(samples, visits):
    """What `shared_information` is by chance: visits are what is independent.

    The expected mutual information of independent variables is (R - 1) (K - 1) / (2 N) for R rows,
    K columns and N draws (Miller 1955, Note on the bias of information estimates).
    """
    n_recordings, n_states = samples.shape
    share = samples.sum(0) / max(samples.sum(), 1e-300)
    entropy = -(share[share > 0] * np.log(share[share > 0])).sum()
    if entropy <= 1e-12:
        return 0.0
    return (n_recordings - 1) * (n_states - 1) / (2 * max(visits.sum(), 1.0)) / entropy


def doubts(samples, visits, covariances, generalization, confirmed):
    """Warnings to give, a list of str.

    samples, visits (n_recordings, n_states): From `recording_table`.
    covariances (n_states, n_regions, n_regions)
    generalization, confirmed: Agreement of halves of the recordings that begin by themselves, and
        with the states that were found; NaN where unknown.
    """
    n_recordings, n_states = samples.shape
    if n_states == 1:
        return []
    if samples.sum() < DOUBTS.least_samples:
        return []
    found = []
    if n_recordings > 1:
        found += _of_recordings(samples, visits)
    share = samples.sum(0) / samples.sum()
    empty = np.flatnonzero(share < DOUBTS.least_share)
    if len(empty):
        found.append(f"{_names(empty)} nearly empty ({share[empty].max():.2%} of the samples)")
    found += _loud(covariances, share)
    few = np.flatnonzero((visits.sum(0) < DOUBTS.least_visits) & (share >= DOUBTS.least_share))
    if len(few):
        most = int(visits.sum(0)[few].max())
        found.append(
            f"{_names(few)} held by {f'at most {most}' if most else 'no'} stretches of time"
        )
    if _vanish(samples.sum(1), generalization, confirmed):
        halves = "the recordings" if n_recordings > 1 else "the blocks of time"
        found.append(
            f"states do not come back when each half of {halves} is fitted alone "
            f"(generalization_ {generalization:.2f})"
        )
    return found


def _loud(covariances, share):
    """What to say of rare states that are louder than the others in nearly all regions."""
    variances = np.diagonal(covariances, axis1=1, axis2=2)
    total = share @ variances
    others = (total - share[:, None] * variances) / np.maximum(1 - share, 1e-12)[:, None]
    ratio = np.quantile(variances / np.maximum(others, 1e-300), DOUBTS.loud_regions, axis=1)
    loud = np.flatnonzero((ratio > DOUBTS.loud) & (share < DOUBTS.loud_share))
    if not len(loud):
        return []
    return [f"{_names(loud)} louder than the others in nearly all regions, as artifacts are"]


def quiet(prepared, parameters, samples):
    """What to say of samples that are quieter than their states explain; a list of str.

    prepared (Prepared)
    parameters (tuple): The states, as an E-step takes them.
    samples (n_recordings, n_states)
    """
    enough = samples.sum() >= DOUBTS.least_samples and samples.shape[1] > 1
    if not enough or prepared.order:
        return []
    share = quiet_share(prepared, parameters, DOUBTS.quiet_level)
    if share <= DOUBTS.quiet:
        return []
    return [
        f"{share:.1%} of samples are quieter than the states explain: amplitudes vary by sample"
    ]


def too_few(samples):
    """What `warnings_` says of a fit of few samples, of which nobody is warned: a list of str."""
    if samples.shape[1] == 1 or samples.sum() >= DOUBTS.least_samples:
        return []
    return [f"{samples.sum():.0f} samples are too few to tell whether states are there"]


def _vanish(own, generalization, confirmed):
    """Whether halves that are long enough have other states; `own`: samples of the recordings."""
    half = min(own[::2].sum(), own[1::2].sum()) if len(own) > 1 else own.sum() / 2
    if half < DOUBTS.least_half or not np.isfinite(generalization):
        return False
    return generalization < DOUBTS.least_generalization and confirmed < DOUBTS.least_confirmed


def _of_recordings(samples, visits):
    """What is wrong if states are single recordings, or recordings explain the states."""
    lengths = samples.sum(1) / samples.sum()
    share = samples / np.maximum(samples.sum(0), 1e-300)
    alone = share.max(0)
    most = np.maximum(DOUBTS.one_recording, np.minimum(2 * lengths.max(), 0.95))
    often = samples.sum(0) / samples.sum() >= DOUBTS.least_share
    single = np.flatnonzero((alone > most) & often)
    found = []
    if len(single):
        found.append(f"{_names(single)} a recording's own ({alone[single].max():.0%} in one)")
    information, chance = shared_information(samples), chance_information(samples, visits)
    if information > DOUBTS.information + 2 * chance:
        found.append(f"recordings explain {information:.0%} of the states")
    return found


def _names(states):
    names = ", ".join(map(str, states))
    return f"state {names} is" if len(states) == 1 else f"states {names} are"


def warn_of_rhythms(rand):
    """Warn of states that differ in rhythm, and say what `warnings_` is to hold; a list of str."""
    if rand < RHYTHM.least:
        return []
    said = f"states of other rhythms return in halves of the recordings (index {rand:.2f})"
    warn_assumption(
        "states-in-rhythm",
        f"These may not be the states of the recordings: {said}, and are not seen in means and "
        "covariances.",
        category=StateWarning,
    )
    return [said]


def unlike_recordings(log_likelihood, n_regions):
    """Recordings that are far less likely than the others: by a t-test (Bonferroni), and in nats.

    log_likelihood (n_recordings,): Per sample, of each under the states of the others.
    """
    n = len(log_likelihood)
    if n < DOUBTS.least_recordings:
        return np.empty(0, int)
    rest = (log_likelihood.sum() - log_likelihood) / (n - 1)
    below = rest - log_likelihood
    squares = (log_likelihood**2).sum() - log_likelihood**2
    spread = np.sqrt(np.maximum(squares / (n - 1) - rest**2, 0) * (n - 1) / (n - 2))
    deviate = below / np.maximum(spread * np.sqrt(1 + 1 / (n - 1)), 1e-300)
    far = n * student.sf(deviate, n - 2) < DOUBTS.unlike
    return np.flatnonzero(far & (below > DOUBTS.unlike_nats * n_regions))


def warn_of_unlike(features, order, n_regions):
    """Warn of recordings that are unlike the others, and say so; a list of str.

    features (n_recordings, n_features): ``usual_features_``.
    order (sequence of int): Their numbers in X.
    """
    if len(features) != len(order):
        return []
    which = sorted(order[i] for i in unlike_recordings(features[:, 0], n_regions))
    if not which:
        return []
    names = ", ".join(f"X[{i}]" for i in which[:10])
    warn_assumption(
        "unlike-recordings",
        f"{len(which)} of {len(order)} recordings are unlike the others: {names}.",
        category=StateWarning,
    )
    return [f"{names} unlike the others"]


def warn_of(found, alignment):
    """One warning of all that is found."""
    if not found:
        return
    remedy = "Look at recording_samples_ and generalization_"
    if alignment == "none":
        remedy += ", align recordings (align='covariance')"
    warn_assumption(
        "doubtful-states",
        f"Do not trust these states as they are: {'; '.join(found)}.",
        remedy=f"{remedy}, or use fewer states.",
        category=StateWarning,
    )
