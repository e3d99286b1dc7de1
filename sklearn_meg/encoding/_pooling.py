"""Linear models of several subjects that share what they can, from sums of products alone.

``y_s[t] = b_s + m_s[t] + sum_l (w + d_s)[l] x[t - l]``: the group's response functions w, each
subject's deviation d_s, and the mean course m_s of what both leave. How far each part is shrunk
(w and d_s by ridge penalties, m_s towards the group's course and that towards zero by
``n / (n + kappa)``, empirical Bayes) is chosen on held-out trials, for each channel. The pooled
model, separate models and the subjects' mean responses are corners of this family.
"""

from dataclasses import dataclass, replace

import numpy as np

from ._blocks import not_zero
from ._lags import LagSums, lag_sums, lagged, ridge


@dataclass(frozen=True)
class Settings:
    """What the search tries; chosen on seeds 100 to 104 of simulated worlds with few trials."""

    #: Trials whose weight the prior of a course has. The first is taken where nothing tells
    #: (no subject has two trials); the rest go from strong to weak.
    kappas: tuple = (1.0, np.inf, 100.0, 30.0, 10.0, 3.0, 0.3, 0.1, 0.0)
    #: That of the course of a subject of one trial, which nothing tells: two thirds are kept.
    #: Averages of two conditions of 25 subjects, seeds 0 to 4, R over time of the mean of each
    #: subject, one half, two thirds: .845 .834 .849 (large responses), .546 .583 .570 (small).
    untold: float = 0.5
    #: Share of the variance of such subjects that is taken for responses.
    untold_share: float = 0.5
    #: Trials of a subject up to which its intercept may be shrunk as its course is. With 56 single
    #: trials each (`bent`, seed 50) R over time of the recurrent TRF is .455 without, .453 with.
    few: int = 10
    #: Penalties of a subject's deviation; infinity, no deviation, is taken where nothing tells.
    deviations: tuple = (np.inf, 1e6, 1e5, 1e4, 1e3, 100.0, 10.0, 1.0)
    #: Share of the decision that a channel leaves to the mean over channels. With 0 few trials
    #: choose at random, with 1 a channel without signal gets the penalty of the others.
    shared_choice: float = 0.8
    #: Variance of intercepts that slow activity explains, as a multiple of that of courses. In the
    #: same worlds without baseline R across subjects was .252 (mean), .222 with 1, .252 with 4.
    slow: float = 4.0
    #: Differences of held-out error that are rounding, relative to the variance.
    tie: float = 1e-7


SETTINGS = Settings()

#: Whose mean course is taken from features and responses before their weights are fitted. With
#: that of each subject, differences between subjects do not disturb those between conditions.
CENTERED = ("nobody", "group", "subject")

#: How much of a subject's intercept is kept: the share of its course, or all of it. The mean over
#: time is as noisy as the course where activity is slow; sensors that are off are another matter.
OFFSETS = ("share", "all")


@dataclass
class TrialSums:
    """Sums over some trials of one subject.

    lags (LagSums)
    x_course (p, n_times): Lagged features, summed over trials.
    y_course (n_channels, n_times)
    count (n_times,): Trials that count, weighted.
    one (n_times,): An intercept of 1, summed over trials: the count, unless it was filtered.
    """

    lags: LagSums
    x_course: np.ndarray
    y_course: np.ndarray
    count: np.ndarray
    one: np.ndarray

    def __add__(self, other):
        return TrialSums(*(a + b for a, b in zip(vars(self).values(), vars(other).values())))

    def select(self, keep):
        """Keep some of the lagged rows."""
        return replace(self, lags=self.lags.select(keep), x_course=self.x_course[keep])

    def courses(self):
        """All that has a value for each sample."""
        return self.x_course, self.y_course, self.count, self.one

    def louder(self, factor):
        """The same of features, responses and intercepts multiplied by a factor."""
        lags = LagSums(*(factor**2 * each for each in vars(self.lags).values()))
        x_course, y_course, count, one = self.courses()
        return TrialSums(lags, factor * x_course, factor * y_course, count, factor * one)

    def residual_course(self, w):
        """Sum over trials of y less what the weights (p, n_channels) predict."""
        return self.y_course - w.T @ self.x_course

    def in_units(self, scale):
        """The same of responses divided by a scale (n_channels,)."""
        lags, square = self.lags, np.outer(scale, scale)
        lags = replace(lags, y=lags.y / scale, xy=lags.xy / scale, yy=lags.yy / square)
        return replace(self, lags=lags, y_course=self.y_course / scale[:, np.newaxis])

    def intercept(self, w):
        """Mean of y less the prediction of weights (..., p, n_channels)."""
        return (self.lags.y - np.einsum("p,...pc->...c", self.lags.x, w)) / self.lags.n_samples


def trial_sums(blocks, lags):
    """Sum products and courses over blocks of trials, as :func:`~._lags.lag_sums` takes them."""
    courses = []

    def passing():
        for x, y, *counted in blocks:
            courses.append(_block_courses(x, y, lags, *counted))
            yield x, y, *counted

    sums = lag_sums(passing(), lags)
    x_course, y_course, count = (sum(parts) for parts in zip(*courses))
    return TrialSums(sums, x_course, y_course, count, count)


def _block_courses(x, y, lags, counted=None):
    """Sums over trials, at each sample, of the lagged rows, the targets and how much they count."""
    n_times = x.shape[2]
    if counted is None:
        wide = lagged(x.sum(axis=1, keepdims=True), lags)[:, :, 0]
        return wide.reshape(-1, n_times), y.sum(axis=1), np.full(n_times, float(x.shape[1]))
    wide = np.einsum("rlnt,nt->rlt", lagged(x, lags), counted)
    y_course = (y * counted).sum(axis=1)
    return wide.reshape(-1, n_times), y_course, counted.sum(axis=0)


@dataclass
class Choice:
    """What the search chose for each channel."""

    centered: np.ndarray  #: what w is fitted to, index into CENTERED
    candidate: np.ndarray  #: index of the penalty of w
    deviation: np.ndarray  #: penalty of d_s
    group_kappa: np.ndarray
    subject_kappa: np.ndarray
    offset: np.ndarray  #: how much of a subject's intercept is kept, index into OFFSETS
    told: bool = True  #: whether any subject has trials on both sides of a fold


@dataclass
class PooledModel:
    """Weights (n_subjects + 1, p, n_channels), intercepts and courses; the group's come last."""

    weights: np.ndarray
    intercepts: np.ndarray
    courses: np.ndarray

    def in_units(self, scale):
        """The same of responses multiplied by scales (n_subjects + 1, n_channels)."""
        weights, courses = (
            self.weights * scale[:, np.newaxis],
            self.courses * scale[..., np.newaxis],
        )
        return PooledModel(weights, self.intercepts * scale, courses)


def fit_pooled(train, white, penalties, choice):
    """Fit with given penalties to one TrialSums (or None) a subject.

    train, white (list): As they are, for intercepts and courses; of white noise, for the weights.
    """
    there = [part for part in white if part is not None]
    weights = np.empty((len(train) + 1, len(there[0].lags.xx), len(choice.candidate)))
    weights[:] = _group_weights(there, penalties, choice)
    course = group_course(there, weights[-1])
    for subject, part in enumerate(white):
        if part is not None:
            weights[subject] += _deviation(part, weights[-1], course, choice)
    return PooledModel(weights, *_intercepts_and_courses(train, weights, choice))


def _intercepts_and_courses(train, weights, choice):
    """(n_subjects + 1, n_channels) and (n_subjects + 1, n_channels, n_times)."""
    intercepts, raw, n_trials = [], [], []
    for part, w in zip(train, weights):
        if part is not None:
            intercepts.append(part.intercept(w))
            raw.append(own_course(part, w, intercepts[-1]))
            n_trials.append(part.count.max())
    group = mean_course(raw, [part for part in train if part is not None])
    shrunk = shrink(sum(n_trials), choice.group_kappa)[:, np.newaxis] * group
    shares = [shrink(n, choice.subject_kappa) for n in n_trials]
    intercepts = _shrunk_intercepts(intercepts, raw, shares, choice)
    found = iter(zip(intercepts, raw, shares))
    both = []
    for part in train:
        if part is None:
            both.append((np.mean(intercepts, axis=0), shrunk))
            continue
        intercept, own, share = next(found)
        change = share[:, np.newaxis] * np.where(part.count > 0, own - group, 0.0)
        both.append((intercept, shrunk + change))
    both.append((np.mean(intercepts, axis=0), shrunk))
    return tuple(np.array(values) for values in zip(*both))


def _shrunk_intercepts(intercepts, raw, shares, choice):
    """Intercepts of subjects, of which noise is a part as it is of courses.

    With one trial a subject nothing tells whether they are kept as courses are: they are, unless
    they differ by more than slow activity explains.
    """
    intercepts, kept = np.array(intercepts), np.array(shares)
    mean, courses = intercepts.mean(axis=0), np.array(raw)
    if choice.told:
        kept = np.where(choice.offset == OFFSETS.index("all"), 1.0, kept)
    else:
        spread = ((courses - courses.mean(axis=0)) ** 2).mean(axis=(0, 2))
        own = ((intercepts - mean) ** 2).mean(axis=0)
        noise = np.minimum(SETTINGS.slow * spread / np.where(own > 0, own, 1.0), 1.0)
        kept = 1 - (1 - kept) * noise
    return list(mean + kept * (intercepts - mean))


def own_course(part, w, intercept):
    """Mean residual course of a subject, 0 where no trial counts."""
    count = not_zero(part.count)
    mean = part.residual_course(w) / count - np.outer(intercept, part.one / count)
    return np.where(part.count > 0, mean, 0.0)


def mean_course(raw, parts):
    """Mean over subjects, each weighted by its trials."""
    counts = np.array([part.count for part in parts])
    return np.einsum("sct,st->ct", raw, counts) / not_zero(counts.sum(axis=0))


def group_course(parts, w):
    raw = [own_course(part, w, part.intercept(w)) for part in parts]
    return mean_course(raw, parts)


def shrink(n, kappa):
    return np.where(np.isinf(kappa), 0.0, n / (n + np.where(np.isinf(kappa), 0.0, kappa)))


def group_sums(parts, centered):
    """Products (p, p) and (p, n_channels), less those of the mean courses of `centered`."""
    xx, xy = 0.0, 0.0
    for part in parts:
        lags = part.lags.centered()
        xx, xy = xx + lags.xx, xy + lags.xy
    courses = [_centered_courses(part) for part in parts]
    if CENTERED[centered] == "group":
        courses = [tuple(map(sum, zip(*courses)))]
    if CENTERED[centered] != "nobody":
        for x, y, count in courses:
            share = x / not_zero(count)
            xx, xy = xx - share @ x.T, xy - share @ y.T
    return xx, xy


def _centered_courses(part):
    """Deviations of features and responses from the subject's mean, summed over its trials."""
    n = part.lags.n_samples
    x = part.x_course - np.outer(part.lags.x / n, part.one)
    return x, part.y_course - np.outer(part.lags.y / n, part.one), part.count


def _group_weights(parts, penalties, choice):
    w = np.empty((len(parts[0].lags.xx), len(choice.candidate)))
    for centered in np.unique(choice.centered):
        xx, xy = group_sums(parts, centered)
        for i in np.unique(choice.candidate[choice.centered == centered]):
            channels = (choice.centered == centered) & (choice.candidate == i)
            w[:, channels] = ridge(xx, xy[:, channels], penalties[i])
    return w


def left_over(part, w, course, centered):
    """Products of features, and with what the group's model leaves, to fit a deviation to."""
    if CENTERED[centered] == "subject":
        xx, xy = group_sums([part], centered)
        return xx, xy - xx @ w
    lags = part.lags.centered()
    xy = lags.xy - lags.xx @ w
    if CENTERED[centered] == "group":
        xy -= _centered_courses(part)[0] @ course.T
    return lags.xx, xy


def _deviation(part, w, course, choice):
    deviation = np.zeros_like(w)
    for centered in np.unique(choice.centered[np.isfinite(choice.deviation)]):
        xx, xy = left_over(part, w, course, centered)
        for penalty in np.unique(choice.deviation[choice.centered == centered]):
            if np.isfinite(penalty):
                channels = (choice.deviation == penalty) & (choice.centered == centered)
                deviation[:, channels] = ridge(xx, xy[:, channels], penalty)
    return deviation


def sum_of(parts):
    """Sum over those that are not None; None if all are."""
    parts = [part for part in parts if part is not None]
    return sum(parts[1:], parts[0]) if parts else None
