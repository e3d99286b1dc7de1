"""Constants of the nerve decoders that were chosen by measurement, in one place."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Constants of the session model, the stream and the regressors.

    Chosen on surface EMG of three people (days 1-5 -> 25-30, 11-15 -> 1-6, 20-24 -> 6-11), reported
    on the benchmark's simulated nerves and the people apart. Accuracies are means over people.

    Attributes
    ----------
    least_log : float
        Least log probability of a window: no single window decides against all others.
    linear_weight : float
        Weight of the linear model beside the network, for a trial before adaptation.
    learned_own : float
        Weight of the network beside the linear model that has learned from the session.
    so_far_weight : float
        Weight of the evidence of the trial so far, beside network and linear model, for a window.
    own_weight : float
        Times that an unlabeled window of a new session counts, against one of training. 10 and 30
        are alike (.926, .927), 3 loses .01.
    label_weight : float
        The same for a labeled window. 3: .918, 10: .939, 30: .944, 100: .937; own
        labels alone: .922.
    sharpness : float
        Factor of a trial's mean window log probability when trials are sorted into classes.
        1: .929, 2: .940, 5: .926, 10: .913.
    cooling : float
        Divisor of the Gaussian log likelihoods of trials while they are sorted. 1 is too sure.
    n_rounds : int
        Times that the linear model learns from the sorted trials of a session.
    n_folds : int
        Folds of a session's trials: the linear model decides none that it has learned from.
    alike : float
        Share of a session's shift that classes have in common which lie in the same direction.
    shrink : float
        Shrinkage of covariances towards a multiple of the identity.
    one_session : float
        Between-session covariance, as a multiple of the within-session one, where training had one
        session.
    before : float
        Weight of a trial's log probabilities before adaptation in its final ones.
    belief : float
        Power of the trial temperature when trials are learned from.
    too_unequal : float
        The classes of a session count as equally frequent unless the chi-square of their counts
        exceeds this many times its .999 quantile. Sessions with equal classes stay below .6 in
        all people; with half of the trials at rest it is 3 to 10.
    recent : int
        Windows that the detector of a change of motion looks back.
    change : float
        Log odds by which the recent windows must contradict the motion so far to end it.
    remembered : int
        Trials of a session that a stream keeps: its memory and the time of `end_trial` are bounded.
    n_iter, n_iter_online : int
        Iterations of the expectation maximization, from scratch and from the last trial's result.
    least_alike : float
        Correlation of a channel's power with what the others predict, below which the channel may
        be lost. Noise: at most .14; sound channels: at least .45, .23 after one day of training.
    least_varying : float
        The same for the spread of its log power, against training. With both no sound channel of
        230 sessions was lost, and 98 to 100 % of those of noise were found.
    enough_trials : int
        Trials of a session in which noise is looked for.
    every : int
        Every how many windows of training are kept, to learn anew without lost channels.
    failing : tuple of float
        Expected accuracy of a session: constant, and weights of disagreement and log novelty.
        Regression over 448 sessions (three people's EMG and ten simulated nerves: sound, turned,
        permuted, with noise or other gains). People and nerves left out, the AUC of sessions below
        .6 is .88 (.80, .91, .87 for the people, .96 dense and .90 sparse nerves).
    fails : float
        Expected accuracy below which a session is warned of: 1 % of those above .8, 39 % of those
        below .5.
    """

    least_log: float = -20.0
    linear_weight: float = 0.5
    learned_own: float = 0.1
    so_far_weight: float = 0.5
    own_weight: float = 10.0
    label_weight: float = 30.0
    sharpness: float = 2.0
    cooling: float = 4.0
    n_rounds: int = 3
    n_folds: int = 5
    alike: float = 0.8
    shrink: float = 0.1
    one_session: float = 10.0
    before: float = 0.15
    belief: float = 0.5
    too_unequal: float = 1.2
    recent: int = 5
    change: float = 5.0
    remembered: int = 300
    n_iter: int = 20
    n_iter_online: int = 3
    least_alike: float = 0.2
    least_varying: float = 0.5
    enough_trials: int = 20
    every: int = 4
    failing: tuple = (1.315, -1.609, -0.277)
    fails: float = 0.3


SETTINGS = Settings()
