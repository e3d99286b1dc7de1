"""Evidence of a motion so far, which is forgotten where the motion changes.

The mean of all windows since a trial began is the best summary of one motion and the worst of two.
A change is noticed where the last windows by themselves contradict the motion so far.
"""

import numpy as np

from ._settings import SETTINGS


class SoFar:
    """Running means of windows of several recordings, each since its last change of motion.

    scores (callable): From means (n, n_dims) and the numbers of their windows (n,) to log
        probabilities of the classes (n, n_classes).
    n: Number of recordings.
    """

    def __init__(self, scores, n, n_dims):
        self.scores = scores
        self.total = np.zeros((n, n_dims))
        self.count = np.zeros(n, dtype=int)
        self.recent = np.zeros((n, SETTINGS.recent, n_dims))

    def step(self, P, change):
        """Log probabilities (n, n_classes) after windows P (n, n_dims), and which motions ended.

        change: Log odds by which the recent windows must contradict the motion so far to end it.
        """
        size = SETTINGS.recent
        self.total = self.total + P
        self.count = self.count + 1
        self.recent = np.concatenate([self.recent[:, 1:], P[:, np.newaxis]], axis=1)
        logs = self.scores(self.total / self.count[:, np.newaxis], self.count)
        old = np.flatnonzero(self.count >= 2 * size)
        ended = np.zeros(len(P), dtype=bool)
        if len(old):
            sums = self.recent[old].sum(1)
            last = self.scores(sums / size, np.full(len(old), size))
            odds = last.max(1) - last[np.arange(len(old)), logs[old].argmax(1)]
            new = odds > change
            ended[old[new]] = True
            self.total[old[new]], self.count[old[new]] = sums[new], size
            logs[old[new]] = last[new]
        return logs, ended

    def state(self):
        """All of it as arrays."""
        return {key: getattr(self, key).copy() for key in ("total", "count", "recent")}

    def restore(self, state):
        """Go on from a `state`."""
        for key in ("total", "count", "recent"):
            setattr(self, key, np.array(state[key]))
        return self
