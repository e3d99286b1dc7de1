"""Simulated MEG of subjects who hear words: four worlds with a known answer.

The worlds follow the encoding literature's questions (Chehab et al., arXiv 2103.02339): is the
response to a word linear in its features, does it depend on what came before, and does ongoing
alpha matter. All constants below that have no source are our own choice ("rebuilt").
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import lfilter
from sklearn.utils import Bunch, check_random_state

from .._repr import ShortBunch
from ..rows import pack_rows

if TYPE_CHECKING:
    from typing import Literal

    from .._typing import ArrayLike, DTypeLike, EpochsArray, RandomSeed
    from ._head import Head

FEATURES = ("onset", "length", "frequency")
BOX = 0.25  # s a word's features stay on
PEAKS = np.array([0.12, 0.20, 0.40])  # s after the word, one a source
WIDTHS = np.array([0.03, 0.05, 0.09])  # s, of the kernels exp(-(t - peak)^2 / width^2)
LINEAR = np.array([[1.0, 0.0], [0.5, -0.5], [0.0, 1.0]])  # of (length, frequency), one row a source
RHO = 0.06  # share of the linear part of the amplitudes in worlds N and S
ALPHA_HZ = 10.0
MEAN_ALPHA = 1.25  # mean modulus of a complex Gaussian with unit parts
WARM_UP = 1.0  # s of words and alpha before the trial begins
INITIAL = 0.33  # s of initial window, as in the paper

# Rebuilt: levels chosen so that an oracle and linear models reach the correlations they had in
# a first version of this simulator.
ONSET = 1.75  # response of every source to a word as such, world L only
NOISE_POWER = 0.35  # of the sensor noise at snr=1
ALPHA_SCALE = 2.4

# Amplitude and coherence (s) of alpha in the MEG, and its extra decay (1/s) while a word is on.
WORLDS = {
    "L": {"linear": True, "alpha_gain": 0.5, "alpha_tau": 0.6, "damping": 0.3},
    "N": {"linear": False, "alpha_gain": 0.5, "alpha_tau": 0.6, "damping": 0.3},
    "S": {"linear": False, "alpha_gain": 1.0, "alpha_tau": 1.5, "damping": 1.4},
    "C": {"linear": False, "alpha_gain": 0.5, "alpha_tau": 0.6, "damping": 0.3, "context": True},
}
# Spread over subjects of the logarithm of gains, and of delays in s; in world C the second.
GAIN_SPREADS, DELAY_SPREADS = (0.25, 0.5), (0.02, 0.04)


def make_words(
    world: Literal["L", "N", "S", "C"] = "N",
    n_subjects: int = 6,
    n_trials: int = 300,
    n_channels: int = 12,
    sfreq: float = 40.0,
    tmin: float = -0.5,
    tmax: float = 2.0,
    snr: float = 1.0,
    random_state: RandomSeed = 0,
    head: Head | None = None,
    dtype: DTypeLike = np.float64,
) -> Bunch:
    """Simulate the MEG of several subjects who hear words.

    Every trial has a word at t = 0 and words before and after it, 0.3 to 0.9 s apart. A word has
    a length and a frequency (z-scored, correlation -0.6) and moves three sources whose responses
    peak after 120, 200 and 400 ms. Subjects share the topographies in part, and differ in gain
    and delay. Sensor noise and a 10 Hz alpha rhythm, which every word damps, are added.

    Parameters
    ----------
    world : {"L", "N", "S", "C"}, default="N"
        "L": amplitudes linear in the features, plus a response to the word as such.
        "N": nonlinear in the features and in the time since the word before, later for frequent
        words, and larger when alpha is strong.
        "S": as "N" with a twice as strong and more coherent alpha: much of the signal is
        ongoing activity, whose future depends on the words to come.
        "C": as "N", and amplitudes depend on the two words before (their context); gains and
        delays of subjects differ twice as much.
    n_subjects : int, default=6
    n_trials : int, default=300
        Trials of each subject.
    n_channels : int, default=12
        Ignored when `head` is given.
    sfreq : float, default=40.0
        Samples per second, at least 25.
    tmin, tmax : float, default=-0.5 and 2.0
        First and last sample of a trial, in s; the word is at 0.
    snr : float, default=1.0
        Divides the power of the sensor noise. At 1 that noise has about 0.4 times the power of
        the responses in world L and 2.3 times that in N and S; alpha is not scaled.
    random_state : int, RandomState or None, default=0
    head : Head from :func:`make_head`, default=None
        Takes topographies from dipoles in a real head (left superior temporal, left inferior
        frontal, right superior temporal; alpha occipital), moved a little in every subject.
        None draws random topographies.
    dtype : {np.float64, np.float32}, default=np.float64
        Data type of the returned arrays. One subject at a time is simulated in double precision.

    Returns
    -------
    data : Bunch
        X : ndarray of shape (n_subjects * n_trials, n_rows, n_times)
            Features, subject index and initial MEG, see :func:`~sklearn_meg.pack_rows`.
        y, meg : ndarray of shape (n_subjects * n_trials, n_channels, n_times)
            The measured MEG (the same array). With a head in units of ``unit`` tesla.
        rows : dict
            ``subject_row``, ``initial_rows``, ``n_initial`` and ``mask_row`` for any encoder.
        features : ndarray of shape (n_subjects * n_trials, 3, n_times)
            Boxcars of 0.25 s: word onset, length, frequency.
        feature_names : list of str
            Names of the rows of `features`.
        subjects : ndarray of int of shape (n_subjects * n_trials,)
            From 0 on.
        evoked : ndarray, same shape as meg
            The responses to the words without noise and alpha: what an oracle would predict.
        responses : ndarray of shape (n_subjects, 3, n_channels, n_times)
            True response to an isolated word at t = 0: to an average word, and what one unit of
            length and one unit of frequency change in it. See :func:`word_response`.
        length, frequency : ndarray of shape (n_subjects * n_trials,)
            Length and frequency of the word at t = 0.
        times : ndarray of shape (n_times,)
            Times of the samples of a trial in s.
        sfreq : float
            Sampling rate in Hz.
        info : mne.Info or None
            With a head only.
        unit : float
            Tesla per unit of meg with a head, else 1.
        world, mixing, delays : str, ndarray, ndarray
            Ingredients of :func:`word_response`.

    Raises
    ------
    ValueError
        For an unknown world or a parameter out of range.

    Notes
    -----
    Amplitude of a word with length l, frequency f, `gap` seconds after the word before, alpha a:
    ``(sqrt(rho) lin + sqrt(1 - rho) non) (1 - 0.6 exp(-gap / 0.35)) (1 + 0.4 (|a| - 1.25))``,
    rho = 0.06, lin = (l, l/2 - f/2, f), non = ((l^2 - 1)/sqrt 2, l f + 0.6, cos 2.5 f - e^-3.125),
    latency + 30 ms tanh f. In world C the first factor A is, with words 1 and 2 before,
    ``(A (1 + 0.6 tanh(f - (f1 + f2) / 2)) + 0.5 (l1 f, f1 f2, l1 l)) / 1.3``. The same random
    numbers are used whatever the world.

    References
    ----------
    Chehab, Defossez, Loiseau, Gramfort, King (2021): Deep Recurrent Encoder, arXiv 2103.02339.

    Examples
    --------
    >>> from sklearn_meg.datasets import make_words
    >>> data = make_words("L", n_subjects=2, n_trials=5)
    >>> data.X.shape, data.y.shape
    ((10, 16, 101), (10, 12, 101))
    >>> data.rows
    {'subject_row': 3, 'initial_rows': slice(4, 16, None), 'n_initial': 13, 'mask_row': None}
    """
    _check_arguments(world, n_subjects, n_trials, n_channels, sfreq, tmin, tmax, snr, dtype)
    times = np.arange(round(tmin * sfreq), round(tmax * sfreq) + 1) / sfreq
    common, *rngs = _generator(random_state).spawn(n_subjects + 1)
    patterns = _random_patterns if head is None else head.draw_patterns
    mixing = patterns(common, n_subjects, n_channels)
    rich = _in_context(world)
    gains = np.exp(GAIN_SPREADS[rich] * common.standard_normal((n_subjects, 1, 3)))
    mixing[:, :, :3] *= gains
    mixing = _unit_power(mixing)
    delays = DELAY_SPREADS[rich] * common.standard_normal((n_subjects, 3))
    parts = _allocate(n_subjects * n_trials, mixing.shape[1], len(times), dtype)
    for subject, rng in enumerate(rngs):
        part = slice(subject * n_trials, (subject + 1) * n_trials)
        one = _simulate_subject(
            rng, world, n_trials, times, sfreq, snr, mixing[subject], delays[subject]
        )
        for name, value in one.items():
            parts[name][part] = value
    subjects = np.repeat(np.arange(n_subjects), n_trials)
    X, rows = pack_rows(
        parts["features"],
        subjects=subjects,
        initial=parts["meg"],
        n_initial=round(INITIAL * sfreq),
    )
    data = ShortBunch(
        X=X,
        y=parts["meg"],
        rows=rows,
        **parts,
        feature_names=list(FEATURES),
        subjects=subjects,
        times=times,
        sfreq=float(sfreq),
        world=world,
        mixing=mixing,
        delays=delays,
        info=None if head is None else head.info_at(sfreq),
        unit=1.0 if head is None else head.unit,
    )
    data.responses = _unit_responses(data)
    return data


def word_response(
    data: Bunch, length: float = 0.0, frequency: float = 0.0, times: ArrayLike | None = None
) -> np.ndarray:
    """Give the true response of every subject to an isolated word at t = 0.

    Parameters
    ----------
    data : Bunch from :func:`make_words`
    length, frequency : float, default=0.0
        Length and frequency of the word, z-scored.
    times : array-like of shape (n_times,), default=None
        Times in s; None takes those of the trials.

    Returns
    -------
    response : ndarray of shape (n_subjects, n_channels, n_times)
        With no word before it and alpha of mean strength.

    Examples
    --------
    >>> from sklearn_meg.datasets import make_words, word_response
    >>> data = make_words("L", n_subjects=2, n_trials=1)
    >>> long, short = word_response(data, length=1), word_response(data, length=-1)
    >>> bool(abs((long - short) / 2 - data.responses[:, 1]).max() < 1e-12)
    True
    """
    times = data.times if times is None else np.asarray(times, dtype=float)
    length, frequency = np.array([[float(length)]]), np.array([[float(frequency)]])
    amplitudes = _amplitudes(data.world, length, frequency, np.inf, MEAN_ALPHA)
    latencies = _latencies(data.world, frequency)
    return np.stack(
        [
            mixing[:, :3]
            @ _source_courses(np.zeros((1, 1)), amplitudes, latencies, delays, times)[0]
            for mixing, delays in zip(data.mixing, data.delays)
        ]
    )


def words_to_epochs(data: Bunch, subject: int | None = None) -> EpochsArray:
    """Turn simulated words into MNE epochs with their metadata.

    Parameters
    ----------
    data : Bunch from :func:`make_words`
    subject : int or None, default=None
        Keep one subject's trials; None keeps all.

    Returns
    -------
    epochs : mne.EpochsArray
        Channels in tesla; metadata columns ``subject``, ``length`` and ``frequency`` (of the word
        at t = 0). Without a head the channels are named MEG001, ... and have no positions.

    Examples
    --------
    >>> from sklearn_meg.datasets import make_words, words_to_epochs
    >>> epochs = words_to_epochs(make_words(n_subjects=2, n_trials=3), subject=1)
    >>> len(epochs), epochs.info["nchan"], list(epochs.metadata)
    (3, 12, ['subject', 'length', 'frequency'])
    """
    import mne
    import pandas as pd

    keep = np.ones(len(data.subjects), bool) if subject is None else data.subjects == subject
    if not keep.any():
        raise ValueError(
            f"subject must be one of {np.unique(data.subjects).tolist()}. Got {subject!r}."
        )
    info, unit = data.info, data.unit
    if info is None:
        names = [f"MEG{index + 1:03d}" for index in range(data.meg.shape[1])]
        info, unit = mne.create_info(names, data.sfreq, "mag"), 1e-13
    columns = {"subject": data.subjects, "length": data.length, "frequency": data.frequency}
    metadata = pd.DataFrame({name: value[keep] for name, value in columns.items()})
    events = np.zeros((keep.sum(), 3), dtype=int)
    events[:, 0] = np.arange(keep.sum()) * 2 * len(data.times) + len(data.times)
    events[:, 2] = 1
    return mne.EpochsArray(
        data.meg[keep] * unit,
        info,
        events,
        tmin=data.times[0],
        event_id={"word": 1},
        metadata=metadata,
        verbose="error",
    )


def _check_arguments(world, n_subjects, n_trials, n_channels, sfreq, tmin, tmax, snr, dtype):
    if world not in WORLDS:
        raise ValueError(f"world must be one of 'L', 'N', 'S', 'C'. Got {world!r}.")
    counts = {"n_subjects": n_subjects, "n_trials": n_trials, "n_channels": n_channels}
    for name, count in counts.items():
        if not isinstance(count, Integral) or count < 1:
            raise ValueError(f"{name} must be an int of at least 1. Got {count!r}.")
    if not isinstance(sfreq, Real) or not 25 <= sfreq < np.inf:
        raise ValueError(f"sfreq must be at least 25 Hz to hold 10 Hz alpha. Got {sfreq!r}.")
    if not tmin <= 0 < tmax < np.inf or (tmax - tmin) <= INITIAL + 1 / sfreq:
        raise ValueError(
            "tmin and tmax must enclose 0 and be further apart than the initial window of "
            f"{INITIAL} s. Got tmin={tmin!r}, tmax={tmax!r}."
        )
    if not isinstance(snr, Real) or not 0 < snr:
        raise ValueError(f"snr must be a float above 0. Got {snr!r}.")
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"dtype must be float32 or float64. Got {dtype!r}.")


def _generator(random_state):
    """Make a generator of our own: the global one is not even read."""
    if random_state is None:
        return np.random.default_rng()
    return np.random.default_rng(check_random_state(random_state).randint(2**31, size=4))


def _random_patterns(rng, n_subjects, n_channels):
    """Topographies of the three sources and alpha: shared plus 0.6 private."""
    shared = rng.standard_normal((n_channels, 4))
    return shared + 0.6 * rng.standard_normal((n_subjects, n_channels, 4))


def _unit_power(patterns):
    """Scale each source to mean square 1 over subjects and channels: no seed has a better SNR."""
    return patterns / np.sqrt((patterns**2).mean(axis=(0, 1)))


def _allocate(n_trials, n_channels, n_times, dtype):
    shapes = {
        "features": (n_trials, len(FEATURES), n_times),
        "meg": (n_trials, n_channels, n_times),
        "evoked": (n_trials, n_channels, n_times),
        "length": (n_trials,),
        "frequency": (n_trials,),
    }
    return {name: np.empty(shape, dtype) for name, shape in shapes.items()}


def _simulate_subject(rng, world, n_trials, times, sfreq, snr, mixing, delays):
    """Trials of one subject: words, responses in the source space, alpha and noise."""
    settings = WORLDS[world]
    n_warm = round(WARM_UP * sfreq)
    long_times = (np.arange(-n_warm, len(times)) + round(times[0] * sfreq)) / sfreq
    onsets, length, frequency = _draw_words(rng, n_trials, long_times, sfreq)
    features = _boxcars(onsets, length, frequency, long_times, sfreq)
    tau, damping = settings["alpha_tau"], settings["damping"]
    alpha = _draw_alpha(rng, features[:, 0], sfreq, tau, damping)
    index = np.clip(np.rint((onsets - long_times[0]) * sfreq), 0, len(long_times) - 1).astype(int)
    strength = np.abs(np.take_along_axis(alpha, index, axis=1))
    gaps = np.diff(onsets, axis=1, prepend=-np.inf)
    amplitudes = _amplitudes(world, length, frequency, gaps, strength)
    courses = _source_courses(onsets, amplitudes, _latencies(world, frequency), delays, times)
    evoked = mixing[:, :3] @ courses
    meg = evoked + _draw_noise(rng, evoked.shape, sfreq, NOISE_POWER / snr)
    gain = settings["alpha_gain"] * ALPHA_SCALE
    meg += gain * mixing[:, 3][:, np.newaxis] * alpha.real[:, np.newaxis, n_warm:]
    middle = np.argmin(np.abs(onsets), axis=1)[:, np.newaxis]
    return {
        "features": features[:, :, n_warm:],
        "meg": meg,
        "evoked": evoked,
        "length": np.take_along_axis(length, middle, axis=1)[:, 0],
        "frequency": np.take_along_axis(frequency, middle, axis=1)[:, 0],
    }


def _draw_words(rng, n_trials, times, sfreq):
    """Onsets (on samples, one of them 0), length and frequency of all words of all trials."""
    n_before, n_after = int(-times[0] / 0.3) + 1, int(times[-1] / 0.3) + 1
    after = np.cumsum(rng.uniform(0.3, 0.9, (n_trials, n_after)), axis=1)
    before = -np.cumsum(rng.uniform(0.3, 0.9, (n_trials, n_before)), axis=1)[:, ::-1]
    onsets = np.concatenate([before, np.zeros((n_trials, 1)), after], axis=1)
    onsets = np.rint(onsets * sfreq) / sfreq
    length, other = rng.standard_normal((2, *onsets.shape))
    return onsets, length, -0.6 * length + 0.8 * other


def _boxcars(onsets, length, frequency, times, sfreq):
    """Features over time: (n_trials, 3, n_times). Boxcars are shorter than the shortest gap."""
    n_trials, n_times = len(onsets), len(times)
    n_box = max(1, round(BOX * sfreq))
    start = np.rint((onsets - times[0]) * sfreq).astype(int)
    where = start[:, :, np.newaxis] + np.arange(n_box)
    trial, word, step = np.nonzero((where >= 0) & (where < n_times))
    sample = where[trial, word, step]
    features = np.zeros((n_trials, 3, n_times))
    for row, values in enumerate((np.ones_like(length), length, frequency)):
        features[trial, row, sample] = values[trial, word]
    return features


def _draw_alpha(rng, word_on, sfreq, tau, damping):
    """Complex AR(1) at 10 Hz with unit parts at rest; it decays faster while a word is on."""
    n_trials, n_times = word_on.shape
    drive = rng.standard_normal((n_times, n_trials, 2)) @ np.array([1, 1j])
    drive[1:] *= np.sqrt(-np.expm1(-2 / (tau * sfreq)))
    rates = -(1 / tau + damping * word_on.T) / sfreq + 2j * np.pi * ALPHA_HZ / sfreq
    keep = np.exp(rates)
    alpha = np.empty((n_times, n_trials), dtype=complex)
    alpha[0] = drive[0]
    for time in range(1, n_times):
        alpha[time] = keep[time - 1] * alpha[time - 1] + drive[time]
    return alpha.T


def _amplitudes(world, length, frequency, gaps, alpha):
    """Amplitude of every source for every word: (n_trials, n_words, 3)."""
    linear = np.stack([length, frequency], axis=-1) @ LINEAR.T
    if WORLDS[world]["linear"]:
        return ONSET + linear
    squares = [
        (length**2 - 1) / np.sqrt(2),
        length * frequency + 0.6,
        np.cos(2.5 * frequency) - np.exp(-3.125),
    ]
    both = np.sqrt(RHO) * linear + np.sqrt(1 - RHO) * np.stack(squares, axis=-1)
    if _in_context(world):
        both = _with_context(both, length, frequency)
    state = (1 - 0.6 * np.exp(-gaps / 0.35)) * (1 + 0.4 * (alpha - MEAN_ALPHA))
    return both * np.asarray(state)[..., np.newaxis]


def _in_context(world):
    return WORLDS[world].get("context", False)


def _with_context(amplitudes, length, frequency):
    """Amplitudes that depend on the two words before; there are none before the first."""
    l1, f1 = (np.pad(x, ((0, 0), (1, 0)))[:, :-1] for x in (length, frequency))
    f2 = np.pad(f1, ((0, 0), (1, 0)))[:, :-1]
    surprise = np.tanh(frequency - (f1 + f2) / 2)
    more = np.stack([l1 * frequency, f1 * f2, l1 * length], axis=-1)
    return (amplitudes * (1 + 0.6 * surprise)[..., np.newaxis] + 0.5 * more) / 1.3


def _latencies(world, frequency):
    return np.zeros_like(frequency) if WORLDS[world]["linear"] else 0.03 * np.tanh(frequency)


def _source_courses(onsets, amplitudes, latencies, delays, times):
    """Sum over words of Gaussian responses: (n_trials, 3, n_times)."""
    courses = np.empty((len(onsets), 3, len(times)))
    for source in range(3):
        peaks = onsets + latencies + PEAKS[source] + delays[source]
        distance = (times - peaks[:, :, np.newaxis]) / WIDTHS[source]
        courses[:, source] = np.einsum(
            "ij,ijk->ik", amplitudes[:, :, source], np.exp(-(distance**2))
        )
    return courses


def _draw_noise(rng, shape, sfreq, power):
    """Sensor noise: AR(1) with 0.9 from sample to sample at 40 Hz, stationary."""
    keep = 0.9 ** (40.0 / sfreq)
    noise = rng.standard_normal(shape)
    noise[..., 1:] *= np.sqrt(1 - keep**2)
    return np.sqrt(power) * lfilter([1.0], [1.0, -keep], noise, axis=-1)


def _unit_responses(data):
    base = word_response(data)
    longer, frequent = word_response(data, length=1.0), word_response(data, frequency=1.0)
    return np.stack([base, longer - base, frequent - base], axis=1)
