"""The present motion, the trials of a session that are remembered, and sums over their windows."""

import numpy as np

from ._settings import SETTINGS

STACKS = ("parts", "means", "squares", "owns")
LISTS = ("labels", "sizes")
SUMS = ("scatter", "n_windows", "moments")
OF_MOTION = ("first", "second", "own", "linear", "taught")


class Stack:
    """Arrays of one shape in one piece of memory, which grows at the end."""

    def __init__(self, rows=()):
        self.memory = np.array(rows, dtype=float)
        self.begin, self.end = 0, len(self.memory)

    @property
    def rows(self):
        """All of them, (n, ...)."""
        return self.memory[self.begin : self.end]

    def append(self, row):
        """Add one at the end."""
        if self.end == len(self.memory):
            rows = self.rows
            memory = np.empty((max(16, 2 * len(rows)), *np.shape(row)))
            memory[: len(rows)] = rows if len(rows) else 0.0
            self.memory, self.begin, self.end = memory, 0, len(rows)
        self.memory[self.end] = row
        self.end += 1

    def __delitem__(self, i):
        """Drop one; those before it move, which are few where the oldest go first."""
        b = self.begin
        self.memory[b + 1 : b + i + 1] = self.memory[b : b + i]
        self.begin += 1


class Motion:
    """Sums over the windows of a motion, and the windows themselves where they are learned from.

    count: Number of windows.
    first, second (n_features,): Sums of features and of their squares.
    own, linear, taught (n_classes,): Sums of what network, linear discriminants, and these after
        learning from the session said.
    kept (list of ndarray): Windows (n_features,).
    """

    def __init__(self):
        self.count, self.kept = 0, []
        self.first = self.second = self.own = self.linear = self.taught = 0.0

    def add(self, f, own, plain, fresh, keep):
        """Add a window."""
        self.count += 1
        said = f, f**2, own, plain, fresh
        for name, each in zip(OF_MOTION, said, strict=True):
            setattr(self, name, getattr(self, name) + each)
        if keep:
            self.kept.append(f)

    def after(self, before, most):
        """Both together; of their windows as many as that, the last ones."""
        both = Motion()
        both.count = before.count + self.count
        for name in OF_MOTION:
            setattr(both, name, getattr(before, name) + getattr(self, name))
        both.kept = (before.kept + self.kept)[-most:]
        return both

    def state(self):
        """All of it as arrays."""
        return {key: np.array(getattr(self, key)) for key in ("count", "kept", *OF_MOTION)}

    @classmethod
    def of(cls, state):
        """Go on from a `state`."""
        new = cls()
        new.count, new.kept = int(state["count"]), list(np.array(state["kept"]))
        for key in OF_MOTION:
            setattr(new, key, np.array(state[key]))
        return new


class KeptTrials:
    """Trials of a session, at most `SETTINGS.remembered`, labeled (1) and not (0).

    training (2, n_features): Means and scales of training.
    parts, means, squares, owns (Stack): Means of the parts of each trial (n_parts, n_features),
        their mean (n_features,), that of the squares of its windows, and what the network says of
        it (n_classes,).
    labels, sizes (list of int): Classes, -1 where unknown, and numbers of windows.
    scatter (2, n_features, n_features): Sum of outer products of windows, from the mean of their
        trial, of all trials so far.
    n_windows (2,): Their number.
    moments (2, n_features, n_features): Sum of outer products of the means of remembered trials,
        times their sizes, in scales of training from the means of training.
    """

    def __init__(self, training):
        self.training = training
        self.parts, self.means, self.squares, self.owns = (Stack() for _ in STACKS)
        self.labels, self.sizes = [], []
        n = len(training[0])
        self.scatter, self.moments = np.zeros((2, n, n)), np.zeros((2, n, n))
        self.n_windows = np.zeros(2)
        self._work = np.empty((2, n, n))  # large arrays cost more to get than to fill

    def add(self, windows, parts, square, own, label):
        """Remember a trial of windows (n_windows, n_features)."""
        for name, row in zip(STACKS, (parts, parts.mean(0), square, own), strict=True):
            getattr(self, name).append(row)
        self.labels.append(-1 if label is None else int(label))
        self.sizes.append(len(windows))
        kind, away = int(label is not None), windows - windows.mean(0)
        self.scatter[kind] += np.dot(away.T, away, out=self._work[0])
        self.n_windows[kind] += len(windows)
        self._count(-1, 1.0)
        while len(self.labels) > SETTINGS.remembered:
            self._forget()

    def _forget(self):
        """Drop what is too old to be remembered, of the older half trials without a label first."""
        older = self.labels[: len(self.labels) // 2]
        drop = next((i for i, label in enumerate(older) if label < 0), 0)
        self._count(drop, -1.0)
        for name in (*STACKS, *LISTS):
            del getattr(self, name)[drop]

    def _count(self, trial, sign):
        """Add a trial to the moments, or take it away."""
        kind = int(self.labels[trial] >= 0)
        x = (self.means.rows[trial] - self.training[0]) / self.training[1]
        self.moments[kind] += np.outer(sign * self.sizes[trial] * x, x, out=self._work[0])

    def relabel(self, trial, label):
        """Say what a trial was, counted from the last one: -1, or more back."""
        self._count(trial, -1.0)
        if self.labels[trial] < 0:  # one trial's share of the windows is now labeled
            share = 1 / sum(each < 0 for each in self.labels)
            for sums in (self.scatter, self.n_windows):
                moved = share * sums[0]
                sums[0], sums[1] = sums[0] - moved, sums[1] + moved
        self.labels[trial] = label
        self._count(trial, 1.0)

    def second(self, normal, share):
        """Sum of weighted outer products of all windows under a normal, until the next call.

        normal (2, n_features), share (of the variance within trials)
        Returns second (n_features, n_features)
        """
        (mean, sd), (center, scale) = self.training, normal
        known, sizes = np.array(self.labels) >= 0, np.array(self.sizes)
        total, more = self._work
        total[:] = 0.0
        sums, n = 0.0, 0.0
        for kind, factor in ((0, SETTINGS.own_weight), (1, SETTINGS.label_weight)):
            weight = factor * np.where(known == kind, sizes, 0)
            if weight.any():
                total += np.multiply(self.moments[kind], factor, out=more)
                kept = weight.sum() / self.n_windows[kind]  # of all so far
                np.multiply(self.scatter[kind], share * kept / sd, out=more)
                total += np.divide(more, sd[:, np.newaxis], out=more)
                sums = sums + (weight @ self.means.rows - weight.sum() * mean) / sd
                n += weight.sum()
        away = (center - mean) / sd
        beside = np.outer(sums - 0.5 * n * away, away, out=more)
        total -= beside
        total -= beside.T
        to_normal = np.divide(sd, scale, out=np.zeros_like(sd), where=np.isfinite(scale))
        total *= to_normal
        total *= to_normal[:, np.newaxis]
        return total

    def state(self):
        """All of it as arrays."""
        found = {key: np.array(getattr(self, key)) for key in (*LISTS, *SUMS)}
        return {**found, **{key: getattr(self, key).rows.copy() for key in STACKS}}

    def restore(self, state):
        """Go on from a `state`."""
        for key in STACKS:
            setattr(self, key, Stack(state[key]))
        for key in LISTS:
            setattr(self, key, np.array(state[key]).tolist())
        for key in SUMS:
            setattr(self, key, np.array(state[key]))
