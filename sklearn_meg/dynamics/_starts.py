"""First guesses of the states: clusters of short windows, or of samples."""

import numpy as np
from scipy.sparse.linalg import eigsh
from sklearn.cluster import KMeans

from .._training.threads import one_thread
from ._settings import RACE

MAX_WINDOWS = 2000
KINDS = ("windows", "windows", "windows", "kmeans", "unit", "windows", "unit", "random")
CERTAINTY = 0.95  # of a first guess; the rest is shared by the states


def kinds_of(init, n_init):
    """Parameters that each restart begins with."""
    if init == "given":
        return ["given"]
    return [KINDS[r % len(KINDS)] if init == "auto" else init for r in range(n_init)]


def first_guesses(X, lengths, n_states, kinds, windows, rng, states=None):
    """State probabilities to start from, one set a restart.

    X (n_samples, n_regions): Standardized, 0 where missing.
    lengths (ndarray of int)
    kinds (list of {"windows", "kmeans", "unit", "random", "given"}): One a restart.
    windows (sequence of int): Lengths in samples, taken in turn.
    rng (RandomState)
    states (n_samples,) int: States of the kind "given", -1 where unknown.
    Returns gamma (n_samples, n_init, n_states)
    """
    with one_thread():
        labels = _labels(X, lengths, n_states, kinds, windows, rng, states)
    return sure(labels, n_states)


def sure(labels, n_states):
    """Probabilities of states of which one is nearly sure; all alike where a label is -1."""
    gamma = np.full((*labels.shape, n_states), (1 - CERTAINTY) / n_states)
    most = CERTAINTY + (1 - CERTAINTY) / n_states
    np.put_along_axis(gamma, np.maximum(labels, 0)[..., None], most, axis=-1)
    gamma[labels < 0] = 1 / n_states
    return gamma


def _labels(X, lengths, n_states, kinds, windows, rng, states):
    """The state of each sample in each guess, -1 where unknown."""
    labels = np.empty((len(X), len(kinds)), dtype=int)
    seeds = rng.randint(2**31 - 1, size=len(kinds))
    features, turn = {}, 0
    for r, (kind, seed) in enumerate(zip(kinds, seeds)):
        if kind == "windows":
            window = windows[turn % len(windows)]
            turn += 1
            if window not in features:
                features[window] = window_features(X, lengths, window, max(2, n_states))
            found = cluster(features[window][0], n_states, seed)
            labels[:, r] = found[features[window][1]]
        elif kind == "kmeans":
            labels[:, r] = cluster(X, n_states, seed, RACE.kmeans_init)
        elif kind == "unit":
            size = np.linalg.norm(X, axis=1, keepdims=True)
            labels[:, r] = cluster(X / np.maximum(size, 1e-300), n_states, seed, RACE.kmeans_init)
        elif kind == "given":
            labels[:, r] = states
        else:
            labels[:, r] = np.random.RandomState(seed).randint(n_states, size=len(X))
    return labels


def parted(X, lengths, states, giver, empty, window):
    """States of which one gives a part of itself to an empty one: clusters of its windows."""
    own = np.flatnonzero(states == giver)
    recording = np.repeat(np.arange(len(lengths)), lengths)[own]
    borders = np.flatnonzero((np.diff(own) > 1) | (np.diff(recording) > 0)) + 1
    stretches = np.diff(np.r_[0, borders, len(own)])
    with one_thread():
        windows, nearest = window_features(X[own], stretches, window, 2)
        part = cluster(windows, 2, 0, RACE.kmeans_init)[nearest]
    found = states.copy()
    found[own[part == 1]] = empty
    return found


def given_states(init, recordings, n_states):
    """States to begin with, checked, one array a recording.

    Raises ValueError for states of other recordings or samples, or other than -1 to n_states - 1.
    """
    one = recordings.kind == "one"
    parts = [np.asarray(part) for part in ([init] if one and np.ndim(init) == 1 else init)]
    lengths = recordings.lengths.tolist()
    if [part.shape for part in parts] != [(n,) for n in lengths]:
        raise ValueError(
            "The 'init' parameter must be a name, or the states of all samples of X: recordings of "
            f"{lengths[:5]} samples. Got the shapes {[part.shape for part in parts[:5]]}."
        )
    for i, part in enumerate(parts):
        if part.dtype.kind not in "iu" or part.min() < -1 or part.max() >= n_states:
            raise ValueError(
                f"The 'init' states must be whole numbers from 0 to {n_states - 1}, or -1 where "
                f"unknown. Got {part.dtype} from {part.min()} to {part.max()} in init[{i}]."
            )
    return [part.astype(int) for part in parts]


def check_windows(windows):
    """Raise where the parameter `windows` is no sequence of lengths."""
    if isinstance(windows, str) or not np.iterable(windows) or not len(windows):
        raise TypeError(f"The 'windows' parameter must be a sequence of int. Got {windows!r}.")
    for w in windows:
        if not isinstance(w, int | np.integer) or isinstance(w, bool) or w < 2:
            raise ValueError(f"The 'windows' must be int of at least 2 samples. Got {w!r}.")


def cluster(features, n_states, seed, n_init=1):
    """Labels of k-means; rows that are all alike are told apart by nothing.

    In one thread, as sums depend on the order of threads.
    """
    some = features[: 4 * n_states]
    distinct = len(np.unique(some, axis=0))
    if distinct < n_states:
        distinct = len(np.unique(features, axis=0))
    means = KMeans(min(n_states, distinct), n_init=n_init, random_state=seed)
    step = len(features) // RACE.clustered
    if step < 2 or distinct < n_states:
        return means.fit_predict(features)
    return means.fit(np.ascontiguousarray(features[::step])).predict(features)


def window_features(X, lengths, window, n_components):
    """Second moments and means of windows, or their principal components.

    States that differ in their covariance span, in the space of moments, a plane of fewer
    dimensions than there are states; noise fills all others.

    Returns features (n_windows, n_components)
    and nearest (n_samples,) int: The window around each sample.
    """
    step = max(1, window // 2, int(np.ceil(len(X) / MAX_WINDOWS)))
    spans, nearest = [], np.empty(len(X), dtype=int)
    ends = np.cumsum(lengths)
    for start, end in zip(ends - lengths, ends):
        firsts = np.arange(start, max(start + 1, end - window + 1), step)
        middles = firsts + window / 2
        times = np.arange(start, end) + 0.5
        index = np.rint((times - middles[0]) / step).clip(0, len(firsts) - 1).astype(int)
        nearest[start:end] = len(spans) + index
        spans += [(first, min(first + window, end)) for first in firsts]
    i, j = np.triu_indices(X.shape[1], 1)
    features = np.empty((len(spans), len(i) + 2 * X.shape[1]), np.float32)
    first, sizes = np.array(spans).T[0], np.diff(spans)[:, 0]
    for size in np.unique(sizes):  # all but those of short recordings are of one size
        of_size = sizes == size
        features[of_size] = _moments(X[first[of_size, None] + np.arange(size)], i, j)
    features -= features.mean(0)
    if n_components is None:
        return features.astype(float), nearest
    n = min(n_components, *features.shape)
    return principal((features @ features.T).astype(float), n), nearest


def principal(gram, n):
    """Coordinates along the first principal components, from inner products."""
    if n < len(gram) // 4:
        values, vectors = eigsh(gram, n, v0=np.ones(len(gram)))  # the same start, the same bits
    else:
        values, vectors = (part[..., -n:] for part in np.linalg.eigh(gram))
    return vectors * np.sqrt(np.maximum(values, 0))


def _moments(parts, i, j):
    products = parts.swapaxes(1, 2) @ parts / parts.shape[1]
    own = np.diagonal(products, axis1=1, axis2=2)
    return np.concatenate([products[:, i, j] * np.sqrt(2), own, parts.mean(1)], axis=1)
