"""Tuned constants of the state models, and the measurement that chose each."""

from dataclasses import dataclass

import numpy as np

LOG_2PI = np.log(2 * np.pi)


@dataclass(frozen=True)
class AlignSettings:
    """Settings of the alignment of recordings.

    weights (tuple of float): Weights of the group's correlations, in halves of a recording.
        Left-out recordings of seven simulated kinds and of BOLD took .1 (own covariances), .3
        (BOLD, own mixing), 1 (noise of their own), 3 and 10 (gains only).
    ridge: Ridge of the variances, added to covariances. A recording of 355 samples and 94 regions
        has a covariance of full rank then; .02 costs no accuracy in the simulated kinds.
    n_blocks: Number of blocks of a recording, used in turn to learn from and to score. Two give
        the same choices, but slow drifts count as difference.
    max_scored: Recordings that are left out, at most.
    robust_dof: Degrees of freedom of the t distribution under which moments of recordings are
        taken.
    robust_iter, sign_sweeps, sign_rounds: Iterations; all converge earlier in the simulated
        worlds.
    robust_tol: Change of the weights of samples at which the moments stand still.
    n_errors: Standard errors by which a method must be better than a simpler one.
    sign_gain: Nats per sample and region by which matched signs must be better. Where signs were
        flipped they gain .05 to .07 (.007 to .013 in four recordings of 400 samples, of which 2 of
        6 are still missed), where none was, -.01 to .002; none of 30 worlds without flips is
        matched.
    least_gain: Nats per sample and region by which variances or covariances that are made alike
        must be better than none. Where recordings differ they gain .28 and more; in plain
        recordings of 20 000 to 60 000 samples .0003 at most, but surely.
    least_samples: Smallest number of samples of a recording that is aligned.
    """

    weights: tuple = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03)
    ridge: float = 0.02
    n_blocks: int = 4
    max_scored: int = 20
    robust_dof: float = 5.0
    robust_iter: int = 8
    robust_tol: float = 0.002
    sign_sweeps: int = 20
    sign_rounds: int = 5
    n_errors: float = 1.0
    sign_gain: float = 0.002
    least_gain: float = 0.001
    least_samples: int = 16


@dataclass(frozen=True)
class RaceSettings:
    """Settings of the comparison of restarts.

    samples: On which restarts are compared by their objective.
    n_iter, n_finalists: Iterations of all restarts, and how many go to the end.
    close: Nats per sample below the best left-out score with which a kind of start is kept.
    kmeans_init: Runs of k-means for one start from samples: with one, starts of halves of the BOLD
        differ.
    clustered: Samples that k-means learns from, at least. States and likelihoods of five easy and
        five hard worlds are the same as with all samples.
    half_iter, first_iter, n_leading: Iterations of restarts in halves of the recordings; after the
        first of them, only so many of each kind go on. In these worlds the states are the same as
        if all went on.
    tolerance: Share by which a kind of start may generalize less than the best. Clusters of
        unit-norm samples of BOLD come back at .28 to .42, of samples as they are at .21 to .37;
        with one random state, means of ten halvings of five subjects then correlate by .90 instead
        of .80; with five others by .79.
    amplitude: By how much better clusters of samples must return than those of unit-norm samples.
        In halves of the BOLD they return 1.2 times as well, but as states of amplitude that the
        other half does not have: their means correlate by .63 instead of .89. Without them no fit
        of 27 simulated worlds is worse by more than .02.
    fold_iter, max_folds: Iterations of the restarts that have not seen a fold of recordings.
    fold_each, fold_samples (float, tuple of int): Samples on which these are compared, for each
        state and region, and the least and most in all. With 2400 instead of 4000 a fit of the
        easy world takes a seventh less time.
    least_piece: Samples of the shortest recording with which this is tried.
    normal_dof: Degrees of freedom above which states are taken as Gaussian.
    first_tails: Degrees of freedom to begin with.
    amplitudes: If one state of all samples has fewer than that, restarts begin with its degrees of
        freedom and with samples of equal size: sizes vary from sample to sample. From 20 on the
        steps are too small: right in hard worlds of four seeds .50 to .64 and now .92 to .95
        (exponential), .65 to .71 and .93 to .96 (half normal), .71 to .96 and .95 to .96
        (lognormal); one state of t5 worlds has 4.5, of plain ones 75 and more.
    loudest: Weight of the quietest samples then. Without a bound a hard world of half normal
        amplitudes is .50 right, with it .93; 100 is as good, 3 worse (.69 in an exponential one).
    tail_samples: Of which that one state is, at most.
    far: Squared distance over its median, above which a sample does not decide between restarts.
        One sample in 600 that was 20 times too large chose the wrong start in two worlds of three.
    """

    samples: int = 20000
    n_iter: int = 8
    n_finalists: int = 3
    close: float = 0.01
    kmeans_init: int = 4
    clustered: int = 1500
    half_iter: int = 15
    first_iter: int = 4
    n_leading: int = 1
    tolerance: float = 0.1
    amplitude: float = 1.5
    fold_iter: int = 10
    max_folds: int = 4
    fold_each: float = 15.0
    fold_samples: tuple = (2400, 4000)
    least_piece: int = 40
    normal_dof: float = 200.0
    first_tails: float = 20.0
    amplitudes: float = 3.0
    loudest: float = 10.0
    tail_samples: int = 3000
    far: float = 4.0


@dataclass(frozen=True)
class DoubtSettings:
    """Bounds of warnings about states. None came in 30 fits of simulated worlds that went right.

    least_samples: Below which nothing can be said.
    least_half: Samples of half of the recordings, below which it is not asked whether states come
        back. With 400, 3 of 6 wrong fits of 24 mixed worlds (2 to 10 recordings, 8 to 60 regions)
        were silent.
    least_share, least_visits: Smallest share of samples and number of visits of a state.
    one_recording: Share of a state in one recording.
    information: Share of the entropy of the states that recordings explain, above chance.
    loud, loud_regions, loud_share: A state that fewer of the samples are in is of artifacts if its
        variance is so many times that of the others in all but a share of the regions. A stretch
        of 20 of 250 samples that is six times as large takes a state of its own, of 26 times the
        variance and more, in 3 of 3 worlds; states of 23 worlds without bursts and of the BOLD
        have their own at most.
    least_generalization: Adjusted Rand index of states of halves that were fitted apart.
    surely: The same, below which halves are fitted again from the states that were found.
    least_confirmed: Adjusted Rand index of these, below which there is a warning if halves that
        were fitted apart disagree, too. States of five recordings of 250 samples are right and .1
        to .4 in halves that begin by themselves, mostly .7 and more in these. In 30 mixed worlds
        (5 to 85 regions, 1 to 20 recordings of 300 to 5000 samples, 2 to 8 states) wrong fits had
        up to .57 (.47 where halves begin by themselves), in 30 plain ones right fits had .70 and
        more, blocks of a single recording too. Two people of a BOLD-like world, of 355 samples,
        had .66 and were wrong; ten people of embedded rhythms had .67 and were right, so that both
        stay unsaid.
    unlike, unlike_nats, least_recordings: A recording is unlike the others where it is less likely
        than their mean, by a t-test at this level for all recordings together and by so many nats
        per sample and region, if there are so many recordings. One of noise among six of 250
        samples is .06 to .16 less likely, others of the world .044 at most, in sixteen worlds.
    quiet, quiet_level: Share of samples that are nearer to the mean of their state than this share
        should be, above which amplitudes vary by sample. At most .0022 in ten Gaussian, t, and
        mixed worlds of 14 to 60 regions and few samples (.0052 where loudness drifts), .0088 and
        more in 12 of 13 worlds of exponential, uniform, half normal or lognormal amplitudes. Not
        in units of the median, two right fits of 600 samples and 40 regions had .008 and .023.
    stationary, n_surrogates, least_gain: Share of the gain of the states over one state that
        surrogates without states have, too, above which there are none; number of surrogates; gain
        in nats per sample from which this is asked. Fresh worlds of two to four states in 3 to 12
        regions, 78 fits, have at most .66 (weak states of means; -1.2 to .5 where states are
        clear); autoregressive, 1/f, narrow-band and hemodynamic noise .58 to 1.05, 37 of 44 fits
        above .7, and the other seven come back in no halves.
    run, repeated: Samples of a run of alike ones, and share of the samples in such runs, above
        which gaps were filled or values held.
    drift, smooth, walk, least_drift: A recording of so many samples drifts if the slowest three
        cosines hold more than a share of its variance and so many times as much as the nine after
        them, or more than a larger share (random walks). Drifts of 1.5 standard deviations have
        .29 and 10 or more; states of means with four visits a recording .43 and 8 at most, in 300
        recordings.
    """

    least_samples: int = 200
    least_half: int = 150
    least_share: float = 0.01
    least_visits: int = 5
    one_recording: float = 0.8
    information: float = 0.3
    loud: float = 4.0
    loud_regions: float = 0.1
    loud_share: float = 0.25
    least_generalization: float = 0.5
    surely: float = 0.7
    least_confirmed: float = 0.6
    unlike: float = 0.065
    unlike_nats: float = 0.06
    least_recordings: int = 5
    quiet: float = 0.006
    quiet_level: float = 0.001
    stationary: float = 0.7
    n_surrogates: int = 2
    least_gain: float = 0.005
    run: int = 5
    repeated: float = 0.01
    drift: float = 0.3
    smooth: float = 8.0
    walk: float = 0.6
    least_drift: int = 200


@dataclass(frozen=True)
class DifferenceSettings:
    """How much of their differences states keep.

    covariances (tuple of float): Shares of the differences of covariances that are tried in turn.
    noise (tuple of float): Noise in the differences of means, in mean variances of a region.
    n_iter: Iterations of the one state, where tails are heavy.
    """

    covariances: tuple = (1.0, 0.7, 0.5, 0.3, 0.2, 0.1)
    noise: tuple = (0.0, 0.3, 1.0, 3.0, 10.0)
    n_iter: int = 4


@dataclass(frozen=True)
class MarSettings:
    """Autoregressive states.

    orders (tuple of int): Tried in turn.
    kinds (tuple of str): Starts with which orders are compared.
    """

    orders: tuple = (1, 2, 3, 5, 8)
    kinds: tuple = ("windows", "windows", "windows")


@dataclass(frozen=True)
class RhythmSettings:
    """When Gaussian or t states are warned of, as autoregressive ones are others.

    lags (tuple of int)
    dependence: Correlation of residuals with earlier ones, below which nothing is fitted: .009 in
        the hard world, .05 and more in nine worlds of rhythms, of which six are mixed or of equal
        variance.
    order, n_components: Settings of the autoregressive model, which is fitted to leading
        components.
    kinds (tuple of str): Its starts.
    least_piece: Samples of the shortest recording with which this is tried.
    least: Adjusted Rand index of its states in halves, above which they are believed.
    same: Share of that index, above which they are the states that were found. In these worlds the
        index is .74 and more and the share below .32; in five worlds of covariances with
        autoregressive noise the share is .99 and more.
    level: Samples over which loudness is made constant before. In a world whose loudness drifts
        slowly, states that were .97 right were warned of; in seven of rhythms the index is as it
        was (.06 less at most).
    """

    lags: tuple = (1, 2, 3)
    dependence: float = 0.04
    order: int = 3
    n_components: int = 8
    kinds: tuple = ("windows", "windows", "windows")
    least_piece: int = 100
    least: float = 0.5
    same: float = 0.5
    level: int = 25


@dataclass(frozen=True)
class UnusualSettings:
    """Settings of the comparison of recordings with those of the fit.

    few, least: Fewer recordings are cut into so many blocks of time in all.
    block: Samples of a block, at least.
    most: Recordings of the fit that are described, at most.
    least_spread (tuple of float): Added in square to the standard deviation of each feature.
    level_dof, level_spread: Degrees of freedom of the logarithm of variances of regions, at most,
        and what is added in square to its standard deviation.
    enough, prior_scores: Fewer scores than that have a limit of their mean and spread; so many
        more scores, standard normal deviates, are added to these. Without them .04 to .11 of new
        recordings were called unusual in seven kinds of worlds whose recordings have own gains or
        mix regions on their own (6 and 12 recordings of fit, 16 seeds each; .05 wanted).
    """

    few: int = 4
    least: int = 8
    block: int = 50
    most: int = 40
    least_spread: tuple = (0.02, 0.05, 0.01, 0.02, 0.02)
    level_dof: float = 15.0
    level_spread: float = 0.02
    enough: int = 19
    prior_scores: float = 2.0


@dataclass(frozen=True)
class ForeignSettings:
    """When recordings that come after the fit do not have its states.

    In ten worlds of a fresh simulator (8 to 60 regions, 1 to 9 recordings in the fit) another order
    of regions, other signs and noise were told in all, offsets in the five in which they mattered,
    another filter in six; clean recordings of 30 samples to whole ones in none, nor in embedded
    oscillators, envelopes, and the BOLD of people left out (aligned). `predict` takes 2.3 times as
    long.

    block, most_blocks: Samples of a block of time, at least, and blocks of a recording, at most,
        between which what states gain varies.
    level: Of the t-test that they gain too little.
    least: Share of what they gain in recordings of the fit, each under the states of the others,
        below which it is too little. In 47 worlds of three simulators .2 tells another order in all
        42 that it makes wrong, other signs in 36 of 38, and one short clean recording of a fit that
        is warned of; 0 tells 41 and 34, .3 another clean one.
    same: Share of the samples with the same state after recordings were made alike in mean and
        covariance, above which nothing is said. In 34 worlds this silences .01 of the warnings of
        wrong states, and half of those of right ones (.8: .11 and two thirds).
    weight: Samples that the correlations of all recordings count as then.
    """

    block: int = 20
    most_blocks: int = 12
    level: float = 0.005
    least: float = 0.2
    same: float = 0.9
    weight: float = 3.0


@dataclass(frozen=True)
class GraphSettings:
    """Edges in which communities are looked for.

    shrinkage: How far correlations are shrunk to zero before they are partial ones. Communities of
        four halvings of five people's BOLD agree with an adjusted Rand index of .78 (.71 to .86),
        of .65 with .1 and .81 with .5, of .44 in significant correlations as they are. In 14
        simulated worlds of 10 to 80 regions the index of the planted ones is .967, .973 with .1,
        .951 in significant correlations.
    significant: Standard errors of a correlation that is zero, above which one is significant.
    """

    shrinkage: float = 0.3
    significant: float = 3.0


MAR = MarSettings()
GRAPH = GraphSettings()
DIFFERENCE = DifferenceSettings()
UNUSUAL = UnusualSettings()
FOREIGN = ForeignSettings()
RHYTHM = RhythmSettings()
DOUBTS = DoubtSettings()
ALIGN = AlignSettings()
RACE = RaceSettings()
