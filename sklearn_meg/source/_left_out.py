"""How much louder noise is that was not seen than noise that was: contrasts of trials left out.

Noise is whitened by what the trials differ by, and its realizations are made of the same
differences. Those of few trials do not span what the noise of their average is, the less the worse
the noise covariance was before: it then exceeds realizations several times. A contrast of trials
that is left out of both holds no response, and shows by how much.
"""

import numpy as np

from ._evidence import cosines, evidence_of
from ._scan import Scanner
from ._settings import SETTINGS


def left_out_excess(problem, onset, rng, over_bounds):
    """Times that noise left out exceeds what a source must pass.

    rng (RandomState)
    over_bounds (callable): From a scanner and evidence to the power of the best position, over its
        bound, a dict: of each condition, and of all together (None).
    Returns excess (dict): The same for noise left out; empty with many trials, for which it is not
        measured.
    """
    n_conditions = problem.labels.max() + 1
    if len(problem.labels) - n_conditions >= SETTINGS.left_out_trials:
        return {}
    trials, labels = problem.trials()
    basis = cosines(problem.data.shape[2], onset)
    parts = np.array([trial @ basis for trial in trials])
    ratios = []
    for _ in range(SETTINGS.left_out):
        evidence = evidence_of(*without_contrast(parts, labels, rng), basis, rng)
        scanner = Scanner(evidence.whitener @ problem.gain, problem.n_orient)
        ratios.append(over_bounds(scanner, evidence))
    named = set().union(*ratios)
    return {
        name: SETTINGS.left_out_more * np.mean([each.get(name, 0.0) for each in ratios])
        for name in named
    }


def without_contrast(parts, labels, rng):
    """One trial less of each condition, and an average that holds no response.

    parts (n_trials, n_channels, n_components): Trials that sum to averages of unit noise.
    labels (n_trials,) int, rng (RandomState)
    Returns Y (n_conditions, n_channels, n_components): A random contrast of the trials of each
        condition, of unit noise.
    and fewer (n_trials - n_conditions, n_channels, n_components): Trials that sum to it and
        differ by the other contrasts.
    and labels (n_trials - n_conditions,) int
    """
    contrasts, fewer, owners = [], [], []
    for label in range(labels.max() + 1):
        rows = parts[labels == label]
        n = len(rows)
        ways = _contrasts(n) @ np.linalg.qr(rng.standard_normal((n - 1, n - 1)))[0]
        turned = np.sqrt(n) * np.tensordot(ways.T, rows, axes=1)
        contrasts.append(turned[0])
        rest = np.tensordot(_contrasts(n - 1), turned[1:], axes=1) / np.sqrt(n - 1)
        fewer.append(rest + turned[0] / (n - 1))
        owners += [label] * (n - 1)
    return np.array(contrasts), np.concatenate(fewer), np.array(owners)


def _contrasts(n):
    """Orthonormal contrasts of n trials, (n, n - 1)."""
    return np.linalg.qr(np.eye(n) - 1 / n)[0][:, : n - 1]
