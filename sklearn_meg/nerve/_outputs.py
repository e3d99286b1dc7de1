"""What a user of a prosthesis gets to see of the decisions: each, a majority, or changes only."""

from collections import Counter

import numpy as np

KINDS = ("window", "smoothed", "event")


class Outputs:
    """Turns decisions of windows into those that are given out.

    kind ({"window", "smoothed", "event"}): Every decision as it is; the majority of the last ones;
        or only changes of that majority.
    n_votes: Number of windows of the majority; more than half must agree.
    deadband: Movements that change less than that stay as they were.
    """

    def __init__(self, kind="window", n_votes=5, deadband=0.0):
        if kind not in KINDS:
            raise ValueError(
                f"decisions must be one of {', '.join(map(repr, KINDS))}. Got {kind!r}."
            )
        if not isinstance(n_votes, int | np.integer) or n_votes < 1:
            raise ValueError(f"n_votes must be a positive integer. Got {n_votes!r}.")
        if not deadband >= 0:
            raise ValueError(f"deadband must not be negative. Got {deadband!r}.")
        self.kind, self.n_votes, self.deadband = kind, n_votes, deadband
        self.votes, self.given = [], None

    def of_classes(self, decisions):
        """Decisions of classes, as they are given out."""
        if self.kind == "window":
            return decisions
        out = []
        for decision in decisions:
            self.votes = [*self.votes, decision.label][-self.n_votes :]
            before = self.given
            self._vote()
            if self.kind == "smoothed" or self.given != before:
                decision.label = self.given
                decision.reason = "unconfirmed" if self.given is None else decision.reason
                out.append(decision)
        return out

    def _vote(self):
        known = Counter(label for label in self.votes if label is not None)
        if known:
            label, n = known.most_common(1)[0]
            if 2 * n > self.n_votes:
                self.given = label

    def of_movements(self, decisions):
        """Movements, held still within the deadband."""
        for decision in decisions:
            if decision.label is None or not self.deadband:
                continue
            if self.given is None:
                self.given = np.array(decision.label)
            moved = np.abs(decision.label - self.given) > self.deadband
            self.given = np.where(moved, decision.label, self.given)
            decision.label = self.given.copy()
        return decisions

    def forget(self):
        """Begin anew."""
        self.votes, self.given = [], None
