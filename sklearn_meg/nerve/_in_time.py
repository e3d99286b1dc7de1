"""A session that arrives window by window: evidence so far, and what its trials teach."""

import numpy as np
from scipy.special import log_softmax
from sklearn.covariance import shrunk_covariance

from ._assign import are_equally_frequent, by_frequency, clamped, equal_counts, free
from ._discriminants import discriminants, learned
from ._evidence import SoFar
from ._gaussian import adapt, in_parts
from ._kept import KeptTrials, Motion
from ._novelty import OfTrials, expected_accuracy
from ._sessions import by_class_of_sums
from ._settings import SETTINGS


class SessionInTime:
    """The session model in time; made by ``SessionModel.start``.

    model (SessionModel)
    training (2, n_features): Means and scales of training.
    learns: Whether the session is new, and its trials are learned from.
    prior: Number of trials that the normal of training counts for.
    normal (2, n_features) or None: Means and scales of the session class by class, where its
        classes are not equally frequent.
    equal: Whether the classes of the trials so far count as equally frequent.
    unsure: Whether nothing is known of how sessions differ.
    cut: Whether there are trials that nobody ended: they have no beginning and end to be compared.
    motion (Motion): Windows to learn from when the motion is over.
    before (Motion or None): Those before them, where the trial has lasted so long that nobody seems
        to end it; somebody may.
    same: Whether these are of the same motion.
    parts: Trials of this motion that were learned from before it is over.
    sorted (tuple or None): Of the remembered trials: their normal, their log probabilities, and
        those before adaptation.
    n_learned: Trials that it has learned from, labeled or not.
    """

    def __init__(self, model, training, learns, prior):
        self.model, self.training, self.learns, self.prior = model, training, learns, prior
        self.unsure = model.of_one_session
        self.trials = KeptTrials(training)
        self.normal, self.by_class, self.equal = None, training, True
        self.unattended = self.cut = False
        self.of_labels, self.learned_labels = None, np.array([])
        self.sorted, self.n_learned = None, 0
        self._set(0.0, (model.coef, model.intercept))
        self.start_trial()

    def _set(self, shifts, coefficients):
        self.shifts, self.coefficients = np.asarray(shifts), coefficients
        self.scores = self.model.scores(shifts)
        if hasattr(self, "so_far"):
            self.so_far.scores = self.scores

    @property
    def labels(self):
        """Classes of the trials that are remembered, -1 where unknown."""
        return self.trials.labels

    @property
    def own_weight(self):
        """Weight of the network, beside a linear model that may have learned."""
        return SETTINGS.learned_own if self.labels else 1.0

    def start_trial(self):
        """Forget the windows of the present trial."""
        self.so_far = SoFar(self.scores, 1, self.model.projection.shape[1])
        self.motion, self.before, self.same, self.parts = Motion(), None, True, 0

    def step(self, F, Z, logs):
        """Log probabilities (n, n_classes) of the next windows.

        F, Z (n_features, n_windows): Raw and normalized features.
        logs (n_windows, n_classes): Log probabilities by the network.
        Returns logs (n, n_classes): Fewer than the windows that came where a motion ended and the
            normal has changed: the rest has to be normalized anew.
        """
        P = self.model.embedded(Z[np.newaxis])[0]
        plain = self.model.linear_logs(Z[np.newaxis])[0].T
        fresh = self._learned_logs(Z)
        out = []
        for k in range(Z.shape[1]):
            change = SETTINGS.change_unended if self.unattended else SETTINGS.change
            so_far, ended = self.so_far.step(P[k : k + 1], change)
            both = self.own_weight * logs[k] + fresh[k] + SETTINGS.so_far_weight * so_far[0]
            out.append(self.model.cooled(log_softmax(both)[np.newaxis])[0])
            self.motion.add(F[:, k], logs[k], plain[k], fresh[k], self.learns)
            if self._is_over(ended[0]):
                before = self.normal
                self._learn_from_part(ended[0])
                if self.normal is not before:
                    break
                fresh = self._learned_logs(Z)
        return np.array(out)

    def _learned_logs(self, Z):
        return self.model.linear_logs(Z[np.newaxis], self.coefficients)[0].T

    def _is_over(self, changed):
        """Whether a motion that nobody ends is one to learn from.

        Once a motion has lasted longer than any trial of training, nobody is going to end it: from
        then on changes of motion do, and what is too short for a motion is forgotten.
        """
        length, count = len(self.model.early), self.motion.count
        if not self.unattended:
            self.unattended = count > SETTINGS.endless * length
            if self.unattended and self.learns:
                self.before, self.motion = self.motion, Motion()
            return False
        if not self.learns:
            return False
        if not changed:
            return count >= SETTINGS.longest_motion * length
        if not self._is_short():
            return True
        if self.same:
            self.before = self._whole_motion()
        self.motion = Motion()
        return False

    def _is_short(self):
        """Whether the windows so far are too few for a motion."""
        return self.motion.count < SETTINGS.shortest_motion * len(self.model.early)

    def _whole_motion(self):
        """The windows so far and those before them, of which few are kept."""
        most = int(2 * SETTINGS.endless * len(self.model.early))
        return self.motion if self.before is None else self.motion.after(self.before, most)

    def _learn_from_part(self, changed):
        """Learn from the windows so far of a motion that nobody ends."""
        self.cut, self.before = True, self._whole_motion() if self.same else self.motion
        self.same, self.parts = not changed, 0 if changed else self.parts + 1
        self.learn()

    def end(self, label=None):
        """Log probabilities of the trial (n_classes,), None without windows; the session learns."""
        self.unattended = False
        if self.same or self._is_short():
            self.motion = self._whole_motion()
        if not self.motion.count:
            return None
        result = start = self._start()
        if self.learns:
            by_labels = self._by_labels()
            taught = self.motion.taught / self.motion.count
            beside = start + taught if self.unsure else 0.0
            found = self._learn_parts(label) if self.parts else self.learn(label)
            logs = log_softmax(found + SETTINGS.beside * beside)
            result = self.model.weighed(logs[np.newaxis], start[np.newaxis])[0]
            result = log_softmax(result + SETTINGS.labels_alone * by_labels)
        self.start_trial()
        return result

    def _learn_parts(self, label):
        """As `learn`, where parts of the trial are known already."""
        if label is not None:
            for part in range(1, self.parts + 1):
                self.trials.relabel(-part, label)
        return self._sorted()

    def _by_labels(self):
        """Log probabilities of the trial by discriminants of labels alone; 0 without them."""
        if self.of_labels is None:
            return 0.0
        coef, intercept = self.of_labels
        z = (self.motion.first / self.motion.count - self.training[0]) / self.training[1]
        return np.maximum(log_softmax(coef @ z + intercept), SETTINGS.least_log)

    def _start(self):
        weight = SETTINGS.linear_weight if self.learns else self.model.known_weight
        both = self.motion.own + weight * self.motion.linear
        return log_softmax(both / self.motion.count)

    def learn(self, label=None):
        """Learn from the windows since the last trial; their log likelihoods in the session."""
        windows, n = np.array(self.motion.kept), self.motion.count
        of_trial = self.motion.second / n, self.motion.own / n
        self.trials.add(windows, self._parts(windows), *of_trial, label)
        self.motion, self.n_learned = Motion(), self.n_learned + 1
        return self._sorted()

    def _parts(self, windows):
        """Means of the parts of a trial, (n_parts, n_features)."""
        return in_parts(windows[np.newaxis], self.model.n_parts)[0]

    def add_labeled(self, F, owns, labels):
        """Learn from labeled trials (n_trials, n_features, n_windows) of this session."""
        for f, own, label in zip(F, owns, labels, strict=True):
            self.trials.add(f.T, self._parts(f.T), np.square(f).mean(1), own, label)
        return self._sorted()

    def relabel(self, trial, label):
        """Say what a trial was, counted from the last one: -1, or more back."""
        self.trials.relabel(trial, label)
        self._sorted()

    # ------------------------------------------------------------------ what trials teach

    def _sorted(self):
        """Sort all trials so far into classes and learn from them; what the last one says."""
        kept, labels = self.trials, np.array(self.labels)
        stacks = kept.parts, kept.means, kept.squares, kept.owns
        parts, first, second, own = (each.rows for each in stacks)
        loose = clamped(free, labels)
        whole = self._whole(first, second)
        places = [self._placed(parts, normal, own) for normal in (whole, self.by_class)]
        tried = [self._found(*place, loose) for place in places]
        args = np.exp(tried[1].logs), self.training, self.model.window_means, self.prior
        self.by_class = by_class_of_sums(first, second, *args)
        whole_wins = tried[0].evidence >= tried[1].evidence
        self.normal = None if whole_wins else self.by_class
        normal, found = (whole, tried[0]) if whole_wins else (self.by_class, tried[1])
        self.equal = are_equally_frequent(found.logs)
        assign = clamped(equal_counts if self.equal else by_frequency, labels)
        place = places[0] if whole_wins else self._placed(parts, normal, own)
        found = self._found(*place, assign)
        coefficients = self._coefficients(first, normal, np.exp(found.logs), labels)
        self._set(found.shifts, coefficients)
        self.sorted = normal, found.logs, place[1]
        self._learn_labels(first, labels)
        return found.likelihood[-1] / self._cooling

    def _whole(self, first, second):
        """Means and scales of all trials so far, those of training counting as some."""
        mean, sd = self.training
        share = len(first) / (len(first) + self.prior)
        center = share * first.mean(0) + (1 - share) * mean
        finite = np.where(np.isfinite(sd), sd, 0.0)
        square = share * second.mean(0) + (1 - share) * (finite**2 + mean**2)
        scale = np.sqrt(np.maximum(square - center**2, 0.0))
        return np.stack([center, np.where(np.isfinite(sd) & (scale > 0), scale, np.inf)])

    @property
    def _cooling(self):
        return SETTINGS.cooling if self.cut else self.model.cooling

    def _placed(self, parts, normal, own):
        """Places of trials under a normal, and what network and linear discriminants say of them.

        The mean of a trial's windows is enough for these: differences of log probabilities of
        classes are linear in the features.
        """
        coef, projection = self.model.coef.T, self.model.projection
        of_both = np.concatenate([coef, projection], axis=1) / normal[1][:, np.newaxis]
        both = parts.reshape(-1, parts.shape[2]) @ of_both - normal[0] @ of_both
        both = both.reshape(*parts.shape[:2], -1)
        scores, P = both[:, :, : coef.shape[1]].mean(1), both[:, :, coef.shape[1] :]
        linear = log_softmax(scores + self.model.intercept, axis=1)
        start = own + SETTINGS.linear_weight * np.maximum(linear, SETTINGS.least_log)
        P = P - self.model.offset
        return P.mean(1) if self.cut else P.reshape(len(P), -1), start

    def _found(self, P, start, assign):
        """Trials sorted by the Gaussian model."""
        known = self.model.gaussian_of_whole if self.cut else self.model.gaussian
        if self.unsure:
            most = SETTINGS.most_moved * max(1.0, len(P) / len(self.model.means))
            known = known._replace(scale=np.minimum(known.scale, most))
        return adapt(P, assign(start), known, SETTINGS.n_iter_online, assign, self._cooling)

    def _coefficients(self, first, normal, probability, labels):
        """Discriminants of training and session together, from sums over windows."""
        known, sizes = labels >= 0, np.array(self.trials.sizes)
        weights = np.where(known, SETTINGS.label_weight, SETTINGS.own_weight) * sizes
        weighted = probability * weights[:, np.newaxis]
        sums = (weighted.T @ first - weighted.sum(0)[:, np.newaxis] * normal[0]) / normal[1]
        both = learned(
            self.model.known, weighted.sum(0), sums, self.trials.second(normal, self.model.share)
        )
        return discriminants(*both, overwrite=True)

    def _learn_labels(self, first, labels):
        """Discriminants of labeled trials alone, once every class has one."""
        known = np.flatnonzero(labels >= 0)
        if np.array_equal(labels[known], self.learned_labels):
            return
        self.learned_labels = labels[known]
        if len(np.unique(labels[known])) < len(self.model.means):
            return
        mean, sd = self.training
        Z, weights = (first[known] - mean) / sd, np.array(self.trials.sizes)[known]
        probability = np.eye(len(self.model.means))[labels[known]] * weights[:, np.newaxis]
        means = (probability / probability.sum(0)).T @ Z
        away = Z - means[labels[known]]
        within = self.trials.scatter[1] / np.outer(sd, sd) / max(1.0, self.trials.n_windows[1])
        within = within + (away.T * weights) @ away / weights.sum()
        covariance = shrunk_covariance(within, SETTINGS.shrink_labels)
        self.of_labels = discriminants(weights, means, covariance)

    def expected_accuracy(self):
        """Share of the trials so far that are probably right; NaN where a label is known."""
        if self.sorted is None or max(self.labels) >= 0:
            return np.nan
        normal, logs, start = self.sorted
        Z = (self.trials.means.rows - normal[0]) / normal[1]
        found = OfTrials(Z[:, :, np.newaxis], logs, start, self.equal)
        return expected_accuracy(self.model, found)

    # ------------------------------------------------------------------ saving

    def state(self):
        """All of it as arrays and plain values."""
        plain = ("by_class", "shifts", "unattended", "same")
        return {
            **{key: np.array(getattr(self, key)) for key in plain},
            "motion": self.motion.state(),
            "before": None if self.before is None else self.before.state(),
            "trials": self.trials.state(),
            "coefficients": [np.array(part) for part in self.coefficients],
            "of_labels": None if self.of_labels is None else [p.copy() for p in self.of_labels],
            "normal": None if self.normal is None else self.normal.copy(),
            "equal": self.equal,
            "cut": self.cut,
            "parts": self.parts,
            "n_learned": self.n_learned,
            "so_far": self.so_far.state(),
        }

    def restore(self, state):
        """Go on from a `state`."""
        self.by_class = np.array(state["by_class"])
        self.trials.restore(state["trials"])
        self.motion = Motion.of(state["motion"])
        self.parts, self.n_learned = int(state["parts"]), int(state["n_learned"])
        self.before = None if state["before"] is None else Motion.of(state["before"])
        for key in ("equal", "unattended", "cut", "same"):
            setattr(self, key, bool(state[key]))
        self.normal = None if state["normal"] is None else np.array(state["normal"])
        self._set(np.array(state["shifts"]), tuple(np.array(p) for p in state["coefficients"]))
        of_labels = state.get("of_labels")
        self.of_labels = None if of_labels is None else tuple(np.array(p) for p in of_labels)
        self.so_far.restore(state["so_far"])
        return self
