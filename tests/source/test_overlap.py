"""Events whose responses overlap: what one makes alone is predicted."""

import numpy as np

from sklearn_meg.source import RNNSourceSolver

ONSET, N_TIMES, N_TRIALS = 5, 60, 12


def steps(interval=None, only=None):
    events = np.zeros((2, N_TIMES))
    for event, at in ((0, 0), (1, interval)) if only is None else ((only, 0),):
        events[event, ONSET + at :] = 1.0
    return events


def test_a_single_event_is_predicted_from_pairs_at_several_intervals():
    rng = np.random.default_rng(0)
    gain = rng.normal(size=(20, 30))
    kernels = np.zeros((2, N_TIMES))
    kernels[0, 5:25] = np.hanning(20)
    kernels[1, 3:19] = -np.hanning(16)
    X, y = [], []
    for interval in (10, 13, 16, 19, 22, 25):
        course = np.zeros(N_TIMES)
        for kernel, at in zip(kernels, (ONSET, ONSET + interval)):
            course[at:] += kernel[: N_TIMES - at]
        for _ in range(N_TRIALS):
            X.append(steps(interval))
            y.append(np.outer(gain[:, 7], course) + 1.0 * rng.normal(size=(20, N_TIMES)))
    solver = RNNSourceSolver(forward=gain, random_state=0).fit(np.array(X), np.array(y))
    assert solver.support_.tolist() == [7]
    for event, kernel in enumerate(kernels):
        alone = np.zeros(N_TIMES)
        alone[ONSET:] = kernel[: N_TIMES - ONSET]
        found = solver.transform(steps(only=event)[None])[0, 7]
        assert np.square(found - alone).sum() < 0.1 * np.square(alone).sum()
