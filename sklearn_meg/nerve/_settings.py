"""Constants of the nerve decoders that were chosen by measurement, in one place."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Constants of the session model, the stream and the regressors.

    Chosen on surface EMG of three people (days 1-5 -> 25-30, 11-15 -> 1-6, 20-24 -> 6-11), reported
    on the benchmark's simulated nerves and the people apart. Accuracies are means over people.

    least_log: Least log probability of a window: no single window decides against all others.
    linear_weight: Weight of the linear model beside the network, for a trial before adaptation.
    weight_of_trials: The same in a known session where trials are the samples of the linear model.
        Seven sparse nerves, same day, beside discriminants of windows: .5 .871, 4 .896; five of
        them, beside the network: .885 and .890.
    learned_own: Weight of the network beside the linear model that has learned from the session.
    so_far_weight: Weight of the evidence of the trial so far, beside network and linear model, for
        a window.
    own_weight: Times that an unlabeled window of a new session counts, against one of training. 10
        and 30 are alike (.926, .927), 3 loses .01.
    beside: Online after one session of training, weight of what is said before adaptation and by
        the linear model that learned from the trials before, beside the Gaussian model: alone,
        where the few trials so far draw others to them, that decided .894 of the trials of four
        sparse nerves that had not changed (not adapted .947), with both .938. After five days of
        the hardest person they cost .04.
    most_moved: Online after one session of training, the most that classes move for each trial a
        class so far, as a multiple of the variance within trials. A few trials pulled them
        anywhere; sessions that are known differ by .02 to .1 in the median of directions, by 1 to 3
        at most. Trials of three sparse nerves, drift 0 to 3: 10 .883 .886 .872 .850, 1 .933 .914
        .897 .871; of a person: 1 .761, .3 .727, .1 .670. That it grows is for sessions that differ
        by far: .75 for .67 where gains have changed twofold (10: .85).
    label_weight: The same for a labeled window. 3: .918, 10: .939, 30: .944, 100: .937; own labels
        alone: .922.
    labels_alone, shrink_labels: Online, weight of discriminants of the labeled trials of a session
        alone, and the shrinkage of their covariance. One label a motion, three people, motions one
        after the other: 0 .933, .15 .958, 1 .936; labels alone .912.
    unaided: In a batch, the weight of such discriminants for each share of the labeled trials that
        is decided wrongly without labels. One label a motion, models of strangers and of strangers
        and a day, two people, six days: 0 .880 and .955, .15 .896 and .955, .3 .908 and .958, .5
        .909 and .956, 1 .895 and .942; labels alone .878.
    sharpness: Factor of a trial's mean window log probability when trials are sorted into classes.
        1: .929, 2: .940, 5: .926, 10: .913.
    cooling: Divisor of the Gaussian log likelihoods of trials while they are sorted, where the
        parts of a trial are one; (parts + 1) / 2 times that where they are more. 1 is too sure.
    parts: Parts of a trial (beginning, middle, end) whose means the Gaussian model compares. Over
        eleven splits of three people 1: .858, 2: .869, 3: .879, 5: .869.
    n_rounds: Times that the linear model learns from the sorted trials of a session.
    n_folds: Folds of a session's trials: the linear model decides none that it has learned from.
    alike: Share of a session's shift that classes have in common which lie in the same direction.
    shrink: Shrinkage of covariances towards a multiple of the identity.
    one_session: Between-session covariance, as a multiple of the within-session one, where
        training had one session.
    before: A trial's temperature is up to 1 + this times larger where adaptation has changed its
        mind. To add log probabilities of before instead cost .025 of the trials on three people.
    trust: Power of the temperature that trials left out of training ask for. Calibration errors of
        new sessions (14, two people) after five days and one day of training: power .5 .105 and
        .106, 1 .121 and .301, 0 .106 and .140.
    too_unequal: The classes of a session count as equally frequent unless the chi-square of their
        counts exceeds this many times its .999 quantile. Sessions with equal classes stay below .6
        in all people; with half of the trials at rest it is 3 to 10.
    recent: Windows that the detector of a change of motion looks back.
    change: Log odds by which the recent windows must contradict the motion so far to end it.
    change_unended: The same where nobody ends trials, so that motions do change. Windows without
        ends of two dense and two sparse nerves, and of three people on three days: 5 .862 .689
        .796, 3 .883 .714 .801, 2 .889 .713 .797; with ends of sparse nerves 5 .722, 3 .714.
    remembered: Trials of a session that a stream keeps: its memory and the time of `end_trial` are
        bounded.
    n_iter, n_iter_online: Iterations of the expectation maximization, from scratch and from the
        last trial's result.
    least_alike: Correlation of a channel's power with what the others predict, below which the
        channel may be lost. Noise: at most .14; sound channels: at least .45, .23 after one day of
        training.
    least_varying: The same for the spread of its log power, against training. With both no sound
        channel of 230 sessions was lost, and 98 to 100 % of those of noise were found.
    enough_trials: Trials of a session in which noise is looked for.
    every: Every how many windows of training are kept, to learn anew without lost channels.
    failing (tuple of float): Expected accuracy of a session: constant, weights of disagreement, of
        log novelty and of classes that come out equally often. Regression over 857 sessions (three
        people's EMG, ten simulated nerves, sixteen rings of electrodes over simulated muscles:
        sound, other gains, turned, permuted, channels swapped, mixed or lost, noise, mostly rest,
        few of the motions). With each person and simulator left out, the AUC of sessions below .6
        is .983, .979 and .979 for the people, .965 for nerves, .931 for rings; with the evidence
        instead of equal classes it was .868, .926, .783, .926 and .860. The entropy of decisions
        before adaptation, agreement with no adaptation, class means, neighbors and margins add
        .003 at most. Of 460 sessions on which nothing was chosen, left out in the same way: .975,
        .992, .945, nerves .979 (dense) and .976 (sparse), rings .990; with the share of trials
        that adaptation decides otherwise in place of the disagreement .974, .990, .941, .972,
        .965, .989, and with distances and empty classes beside it no better.
    fails: Expected accuracy below which a session is warned of: 1 % of those above .8, 77 % of
        those below .5.
    fails_in_time, first_look: The same for a session that arrives trial by trial, and the trials
        after which it is first looked at; then every `enough_trials`. Of 120 sessions of three
        people (sound, other gains, ring turned, channels swapped, mixed or noisy, mostly rest, half
        of the motions, another person) 48 of 49 with less than .5 right are told, and none of 58
        with more than .75; of 135 of simulated nerves 57 of 58, and 5 of 48, all with channels
        swapped or mixed. After 20 trials sound sessions are told, too.
    contradiction: Log evidence that a session normalized as a whole loses where its classes turn
        out not to be equally frequent, which it supposes.
    least_samples, least_times: Samples of a channel below which it may be at its largest value by
        chance, and of a trial below which two may be alike.
    other_unit: Times that signals are larger or smaller than in fit from which they have another
        unit: units differ by a thousand, which a quieter session must not hide.
    saturated: Share of samples at the largest value from which an amplifier is saturated.
    mains, periods (tuple of float, int): Frequencies of the mains in Hz, and their periods in a
        trial from which they are told from movement.
    most_hum: Share of the power that such a sine has in most channels, from which it is told. EMG
        and simulated nerves have .003 at most.
    within_trials: Share of the variance within trials that covariances of discriminants have beside
        that of means of trials, where trials left out are decided clearly better with it than
        with windows as samples. Trials of four sessions, windows / this share of windows, shrunk as
        so many windows ask for / shrunk as so many trials do: four sparse nerves .906 .948 .967,
        three with half the spikes .600 .786 .850.
    clearly: Standard errors by which their log loss must be less: on seven sparse nerves 2 to 9.9,
        on three with twice the spikes -1.3 to 1.5 (.984 of the trials are right, or .992).
    enough_to_gain (int, float): Trials that must be decided wrongly, and their share, for that to
        be asked. A dense nerve (none) and the hardest person (3 of 440, 1 of 88) have fewer, so
        that nothing changes there.
    enough_labels: Trials of ``fit`` from which labels are doubted.
    known: Share of what guessing leaves that must be right in trials left out of fit.
    most_wrong, surely: Share of wrong decisions in trials left out, and how much clearer they are
        than right ones usually are, from which labels are doubted. With a fifth of the labels
        wrong it is 1.3 to 2.1 times on two people and two nerves (1.0 on a third, whose decoder is
        still right), else at most 1.1.
    enough_wrong: Wrong decisions from which that is asked: with 3 to 6 the ratio was .9 to 2.7 on
        three nerves of right labels, by chance.
    enough_unusual: Trials from which unusual ones make a session doubtful.
    most_unusual: Share of unusual trials from which a session that nothing adapts to is decided
        with adaptation, too. Held-out trials of the same days have at most .05 (three people, four
        nerves), later days .09 to .77.
    by_chance: p value of the number of unusual trials, above which nothing is said.
    agrees: Share of trials that both decide alike, below which there is a warning. In later days
        the share is that of right decisions, or .07 more: .74 .86 .64 .66 where .73 .86 .64 .66
        were right. No alarm in 355 batches of 10 to 100 trials of the same days of three people
        (all motions, half of them, mostly one). Of batches of later days of which less than .8
        were right, 42 of 53 are told with 50 trials and more, 27 of 66 with fewer.
    unusual_of_few: Share of unusual trials from which a session of fewer than two trials a class is
        warned of in any case.
    most_adapted: Share of unusual trials from which a session that is adapted to is warned of.
        With cables mixed .98 and more are unusual (four nerves), else at most .05, and .55 weeks
        after a single day of training, but all where channels have other gains, too.
    long_trial: Samples of a trial from which features may be raw signals.
    no_feature, most_raw: Variance of means of trials, against that within trials, below which a
        row is no feature, and the share of such rows. Raw EMG has 0, simulated nerves up to .22,
        features .66 in the median.
    may_fail: Expected accuracy below which unusual trials of a session with adaptation are told.
    remembered_windows: Trials of which a session in time keeps windows, to look for noise and to
        go on without a channel.
    shortest_motion, longest_motion, endless: Of a trial of training, where nobody ends trials:
        what is shorter is no motion, what is longer is learned from in parts, and a trial that is
        longer is one that nobody ends. Without ends .908 and .884 of windows are right (two
        seeds), with ends .920 and .887.
    least_certain: Probability of a trial's class, to learn from it in `fine_tuned`.
    least_gate: Least share of what boosting says, on windows left out, that is worth its time.
    least_rows, most_rows: Windows below which there is little to boost, and those that trees learn
        from at most, for their time.
    trees, leaves, tree_rate, tree_features: Number of trees and leaves, learning rate, share of
        features that a split looks at. R2 of a velocity is .969 and .971 (two seeds); 200 trees of
        all features alone .956 and .961.
    history, most_features: Windows that regressors look back, and features of all of them at most.
        Three are what the peers of the benchmark have.
    doubt: Weight of a trial's doubt beside its distance, in novelty.
    most_alike: Trials over which novelty is averaged, no more than a motion has. AUC of four
        unseen motions of five nerves and of three people: 1 .87, .87, 2 .90, .88, 4 .91, .90, 6
        .89, .84.
    doubt_of_failure: The same weight where novelty is a sign of failure, trial by trial.
    turn_gain: Log evidence that a turn of the ring must bring. Every turn by one electrode was
        found.
    turn_step: Step of the search for a turn, in electrodes.
    n_balance, n_frequency: Iterations that make class counts equal, and that learn the frequencies
        of classes.
    farthest, certain: Log probabilities below which a class is out of the question for a trial,
        and of the classes that a label excludes.
    left_out_folds: Folds of trials or sessions that are left out of training for temperatures.
    least_known: Share of a person's trials that a model of other people must decide as labeled,
        for these to be learned from. Day 1 of three people: .98, .99 and 1; with features mixed up
        next to none.
    most_harm: Share of a person's trials, left out, that may be decided worse with others than
        without. Others: at most .03; others whose classes are mixed up: .12 and .30. Others who
        count as much as the own day: days weeks later .99, 1.00, .81 (alone .92, 1.00, .74; all
        alike .97, .97, .71).
    hottest: Largest temperature: one beyond says nothing more.
    look: Trials of a stream from one search for noise to the next.
    flat: Waveform length or range of a window without a signal, relative to the low threshold.
    minimal_power: Power of a flat channel, relative to the low threshold.
    correlation_ridge: What is added to the diagonal of the correlations of powers.
    minimal_spread, rounding: Standard deviations relative to the mean, and of a mean of 0, that are
        rounding. Log covariances of a channel without a signal vary by 1e-14; mean squares of
        signals of microvolts in volts by 1e-12.
    clip: Standard deviations at which normalized features are clipped.
    log_alphas, n_alphas (tuple of float, int): Strengths of ridge regression among which left-out
        windows choose: decimal logarithms of the least and largest, and their number.
    ridge_folds, most_blocks, least_block: Folds of trials that regressors leave out; of few long
        recordings, blocks of time at most, and windows of the shortest.
    kinds: Weight of the cross-entropy of kinds of movement beside the squared error.
    explained: Share of the variance of where movements end, for kinds to be worth it.
    least_of_kind: Trials of each kind for that.
    piece: Windows of a piece of a long recording that the network is trained on.
    tiny_distance, tiny_variance: What is added to distances before their logarithm, and to
        variances, which are about one.
    latencies: Last latencies that a stream keeps.
    saturated_window: Share of a window at the limit from which a channel is flagged as saturated.
    """

    least_log: float = -20.0
    linear_weight: float = 0.5
    weight_of_trials: float = 4.0
    learned_own: float = 0.1
    so_far_weight: float = 0.5
    own_weight: float = 10.0
    beside: float = 1.0
    most_moved: float = 1.0
    label_weight: float = 30.0
    labels_alone: float = 0.15
    shrink_labels: float = 0.1
    unaided: float = 0.3
    sharpness: float = 2.0
    cooling: float = 4.0
    parts: int = 3
    n_rounds: int = 3
    n_folds: int = 5
    alike: float = 0.8
    shrink: float = 0.1
    one_session: float = 10.0
    before: float = 1.0
    trust: float = 0.5
    too_unequal: float = 1.2
    recent: int = 5
    change: float = 5.0
    change_unended: float = 3.0
    remembered: int = 300
    n_iter: int = 20
    n_iter_online: int = 5
    least_alike: float = 0.2
    least_varying: float = 0.5
    enough_trials: int = 20
    every: int = 4
    failing: tuple = (0.85, -1.22, -0.14, 0.42)
    fails: float = 0.45
    fails_in_time: float = 0.5
    first_look: int = 40
    contradiction: float = 5.0
    least_samples: int = 1000
    least_times: int = 8
    other_unit: float = 300.0
    saturated: float = 0.01
    mains: tuple = (50.0, 60.0)
    periods: int = 10
    most_hum: float = 0.5
    within_trials: float = 0.1
    clearly: float = 1.0
    enough_to_gain: tuple = (3, 0.02)
    enough_labels: int = 40
    known: float = 0.25
    most_wrong: float = 0.1
    surely: float = 1.2
    enough_wrong: int = 10
    enough_unusual: int = 10
    most_unusual: float = 0.08
    unusual_of_few: float = 0.25
    by_chance: float = 0.05
    most_adapted: float = 0.9
    agrees: float = 0.9
    long_trial: int = 200
    no_feature: float = 0.3
    most_raw: float = 0.9
    may_fail: float = 0.65
    remembered_windows: int = 60
    shortest_motion: float = 0.5
    longest_motion: float = 1.0
    endless: float = 1.3
    least_certain: float = 0.5
    least_gate: float = 0.1
    least_rows: int = 2_000
    most_rows: int = 30_000
    trees: int = 100
    leaves: int = 15
    tree_rate: float = 0.1
    tree_features: float = 0.25
    history: int = 3
    most_features: int = 600
    doubt: float = 0.1
    most_alike: int = 4
    doubt_of_failure: float = 0.3
    turn_gain: float = 3.0
    turn_step: float = 0.5
    n_balance: int = 30
    n_frequency: int = 5
    farthest: float = -40.0
    certain: float = -40.0
    left_out_folds: int = 5
    least_known: float = 0.5
    most_harm: float = 0.05
    hottest: float = 1000.0
    look: int = 5
    flat: float = 1e-9
    minimal_power: float = 1e-6
    correlation_ridge: float = 0.01
    minimal_spread: float = 1e-9
    rounding: float = 1e-13
    clip: float = 8.0
    log_alphas: tuple = (-1.0, 6.0)
    n_alphas: int = 15
    ridge_folds: int = 5
    most_blocks: int = 20
    least_block: int = 5
    kinds: float = 0.1
    explained: float = 0.8
    least_of_kind: int = 5
    piece: int = 100
    tiny_distance: float = 1e-6
    tiny_variance: float = 1e-7
    latencies: int = 10_000
    saturated_window: float = 0.05


SETTINGS = Settings()
