"""The closed loop of a recurrent linear encoder: unrolling it, and keeping it stable."""

import numpy as np
from scipy.linalg import eigvals
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs


def unroll(drive, known, past, components):
    """Run the recursion ``y[t] = drive[t] + sum_k past[k - 1] @ components @ y[t - k]``.

    drive (n_trials, n_channels, n_times): Contribution of the stimulus and the intercept.
    known (n_trials, n_channels, n_initial): The first samples of y; before them y is zero.
    past (n_past, n_channels, n_components), components (n_components, n_channels)
    Returns y (n_trials, n_channels, n_times): The first `n_initial` samples are `known`.

    >>> import numpy as np
    >>> unroll(np.zeros((1, 1, 4)), np.ones((1, 1, 1)), np.full((1, 1, 1), 0.5), np.eye(1))
    array([[[1.   , 0.5  , 0.25 , 0.125]]])
    """
    n_trials, _, n_times = drive.shape
    n_past, n_initial, n_components = len(past), known.shape[2], len(components)
    y = drive.transpose(0, 2, 1).copy()
    y[:, :n_initial] = known.transpose(0, 2, 1)
    z = np.zeros((n_trials, n_past + n_times, n_components))
    z[:, n_past:] = y @ components.T
    loop = (components @ past[::-1]).transpose(0, 2, 1).reshape(-1, n_components)  # oldest first
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(n_initial, n_times):
            z[:, n_past + t] += z[:, t : t + n_past].reshape(n_trials, -1) @ loop
        if np.array_equal(components, np.eye(n_components)):
            return z[:, n_past:].transpose(0, 2, 1)
        for k, matrix in enumerate(past, start=1):
            y[:, n_initial:] += z[:, n_past + n_initial - k : n_past + n_times - k] @ matrix.T
    return y.transpose(0, 2, 1)


def spectral_radius(past, components):
    """Largest absolute eigenvalue of the closed loop (of its companion matrix).

    past (n_past, n_channels, n_components), components (n_components, n_channels)
    Returns radius: Below 1 the free response dies out.

    >>> import numpy as np
    >>> round(spectral_radius(np.array([[[0.5]], [[0.25]]]), np.eye(1)), 3)
    0.809
    """
    loop = components @ past
    n_past, n, _ = loop.shape
    if not n_past or not loop.any():
        return 0.0
    blocks = loop.transpose(1, 0, 2).reshape(n, -1)
    size = n_past * n
    if size > 200:  # a few matrix products instead of all eigenvalues

        def shift(state):
            state = state.reshape(-1)
            return np.concatenate([blocks @ state, state[:-n]])

        operator = LinearOperator((size, size), matvec=shift, dtype=np.float64)
        try:
            found = eigs(operator, k=4, v0=np.ones(size), tol=1e-6, return_eigenvectors=False)
            return float(np.abs(found).max())
        except ArpackNoConvergence:
            pass
    companion = np.eye(size, k=-n)
    companion[:n] = blocks
    return float(np.abs(eigvals(companion, check_finite=False)).max())


def damp(past, components, max_radius):
    """Scale ``past[k - 1]`` by ``g**k`` so that the spectral radius is at most `max_radius`.

    Returns past (n_past, n_channels, n_components)
    and radius: Before damping.
    """
    radius = spectral_radius(past, components)
    if radius >= max_radius:
        factors = (max_radius / radius) ** np.arange(1, len(past) + 1)
        past = past * factors[:, np.newaxis, np.newaxis]
    return past, radius
