"""What users of state models do to recordings."""

from functools import cache

import numpy as np
from scipy.signal import lfilter

from sklearn_meg import HiddenMarkovGraph
from sklearn_meg.datasets import make_states
from sklearn_meg.dynamics.metrics import state_accuracy

from .record import Answer, flag_of, fresh, remembered, violation

SHAPE = {"n_states": 3, "n_times": 250, "n_regions": 10}
N_FIT, N_MORE, N_NEW = 6, 12, 4
RESPONSE = [0.1, 0.5, 1.0, 0.9, 0.5, 0.2, -0.1, -0.15, -0.1]
MOST = "states right in 90 % of the samples"


@cache
def _world(seed, n_subjects=N_FIT):
    data = make_states("easy", **SHAPE, n_subjects=n_subjects, random_state=seed)
    return np.asarray(data.X), np.asarray(data.states)


def _model(**params):
    return HiddenMarkovGraph(**{"n_states": 3, "n_init": 3, "random_state": 0, **params})


def _wrong(X, states, tolerance=0.1, **params):
    found = _model(**params).fit(X).predict(X)
    return Answer(_error(states, found), tolerance)


@remembered
def _unbroken(seed):
    """What the model of the unbroken world answers, which most violations share."""
    return _wrong(*_world(seed))


@remembered
def _model_of_more(seed):
    """A model of recordings after which others come."""
    return _model().fit(_world(seed, N_MORE + N_NEW)[0][:N_MORE])


def _error(states, found):
    pairs = ((np.ravel(a), np.ravel(b)) for a, b in zip(states, found))
    flat = [np.concatenate(part) for part in zip(*pairs)]
    return 1 - state_accuracy(*flat)


def _rng(seed):
    return np.random.default_rng(seed)


def _changed(change):
    """A violation of the recordings of a fit: ``change(X, rng)``."""

    def run(seed, broken):
        X, states = _world(seed)
        return _wrong(change(X.copy(), _rng(seed)), states) if broken else _unbroken(seed)

    return run


def _of_fit(name, change, story):
    run = _changed(change)
    run.__doc__ = story
    run.__module__ = __name__
    return violation(name, right=MOST)(run)


def _of_new(name, change, story, asked=True):
    """A violation of recordings that come after the fit; if not `asked`, `predict` has to tell."""

    def run(seed, broken):
        X, states = _world(seed, N_MORE + N_NEW)
        model = _model_of_more(seed)
        new = change(X[N_MORE:].copy(), _rng(seed)) if broken else X[N_MORE:]
        found, flag = model.predict(new), flag_of(model.is_unusual(new)) if asked else None
        truth = states[N_MORE:, :: round(states.shape[1] / found.shape[1])]
        return Answer(_error(truth, found), 0.1, flag)

    run.__doc__ = story
    run.__module__ = __name__
    return violation(name, right=MOST)(run)


def _with(X, index, value):
    X[index] = value
    return X


@violation("a state more than there are", right=MOST)
def too_many_states(seed, broken):
    """Four states are asked for where there are three."""
    X, states = _world(seed)
    return _wrong(X, states, n_states=4) if broken else _unbroken(seed)


@violation("no states at all", right="no states")
def no_states(seed, broken):
    """Recordings are noise of one covariance; three states are asked for."""
    X, states = _world(seed)
    return _wrong(_rng(seed).normal(size=X.shape), states) if broken else _unbroken(seed)


@violation("slow noise without states", right="no states")
def slow_noise(seed, broken):
    """Recordings are of one autoregressive model without states; three states are asked for."""
    X, states = _world(seed)
    if not broken:
        return _unbroken(seed)
    rng, n = _rng(seed), X.shape[1]
    past = rng.normal(size=(n, n))
    past *= 0.9 / np.abs(np.linalg.eigvals(past)).max()
    noise = rng.normal(size=(X.shape[2], len(X), n))
    for t in range(1, len(noise)):
        noise[t] += noise[t - 1] @ past.T
    return _wrong(noise.transpose(1, 2, 0), states)


@violation("states of rhythms", right=MOST)
def rhythms(seed, broken):
    """States have the same covariance and other spectra; the model looks at covariances."""
    X, states = _world(seed)
    if not broken:
        return _unbroken(seed)
    Z = _rng(seed).normal(size=(N_FIT, 250, 3))
    cosines = np.array([0.85, 0.0, -0.85])
    for t in range(2, Z.shape[1]):
        slope = cosines[states[:, t], None]
        Z[:, t] = 1.7 * slope * Z[:, t - 1] - 0.72 * Z[:, t - 2] + Z[:, t]
    level = np.array([Z[states == k].std() for k in range(3)])
    return _wrong((Z / level[states][..., None]).transpose(0, 2, 1), states)


@violation("a recording of noise", right=f"{MOST}, and a word on that recording")
def noise_recording(seed, broken):
    """One recording of six is of an empty room."""
    X, states = _world(seed)
    if not broken:
        return _unbroken(seed)
    _model().fit(_with(X.copy(), 0, _rng(seed).normal(size=X[0].shape)))
    return Answer(1.0, 0.1)


@violation("one short recording", right=MOST)
def one_short_recording(seed, broken):
    """A single recording of 100 samples."""
    X, states = _world(seed)
    if not broken:
        return _unbroken(seed)
    model = _model().fit(X[:1, :, :100])
    found = model.predict(X[:1, :, :100])
    flag = "warnings_" if len(model.warnings_) else None
    return Answer(_error(states[:1, :100], found), 0.1, flag)


@violation("recordings transposed", right="an error or a warning")
def transposed(seed, broken):
    """Recordings of a list are (n_times, n_regions)."""
    X, states = _world(seed)
    if not broken:
        return _unbroken(seed)
    model = _model().fit(list(X[:, :, :40].transpose(0, 2, 1)))
    return Answer(1.0, model.n_features_in_ == X.shape[1])


@violation("missing samples", right=MOST)
def missing_samples(seed, broken):
    """Samples of a gap are NaN."""
    X, states = _world(seed)
    if not broken:
        return _unbroken(seed)
    return _wrong(_with(X.copy(), (0, slice(None), slice(50, 80)), np.nan), states)


@violation("a sum of others", right=MOST)
def average_reference(seed, broken):
    """Recordings are referenced to their average; covariances are full."""
    X, states = _world(seed)
    return _wrong(X - X.mean(1, keepdims=True) if broken else X, states, covariance="full")


other_units = _of_fit(
    "recordings in other units each",
    lambda X, rng: X * 10.0 ** np.arange(len(X))[:, None, None],
    "Each recording comes in units ten times those of the one before.",
)
gains = _of_fit(
    "gains and offsets",
    lambda X, rng: (
        X * rng.lognormal(0, 0.5, (len(X), 10, 1)) + 3 * rng.normal(size=(len(X), 10, 1))
    ),
    "Regions have a gain and an offset of their own in each recording.",
)
mixtures = _of_fit(
    "subjects that differ",
    lambda X, rng: (np.eye(10) + 0.5 * rng.normal(size=(len(X), 10, 10)) / np.sqrt(10)) @ X,
    "Each subject mixes the regions in another way.",
)
signs = _of_fit(
    "signs of sources",
    lambda X, rng: X * rng.choice([-1.0, 1.0], size=(len(X), 10, 1)),
    "Source reconstruction gives regions an arbitrary sign in each recording.",
)
heavy_tails = _of_fit(
    "heavy tails",
    lambda X, rng: X / np.sqrt(rng.chisquare(4, (len(X), 1, X.shape[2])) / 4),
    "Noise has a t distribution of four degrees of freedom.",
)
amplitudes = _of_fit(
    "amplitudes of samples",
    lambda X, rng: X * rng.exponential(size=(len(X), 1, X.shape[2])),
    "Each sample has an amplitude of its own, exponentially distributed.",
)
half_normal = _of_fit(
    "half normal amplitudes",
    lambda X, rng: X * np.abs(rng.normal(size=(len(X), 1, X.shape[2]))),
    "Each sample has an amplitude of its own, half of a normal distribution.",
)
lognormal = _of_fit(
    "lognormal amplitudes",
    lambda X, rng: X * rng.lognormal(0, 1, size=(len(X), 1, X.shape[2])),
    "Each sample has an amplitude of its own, lognormally distributed.",
)
spikes = _of_fit(
    "spikes",
    lambda X, rng: np.where(rng.uniform(size=(len(X), 1, X.shape[2])) < 0.01, 10, 1) * X,
    "One sample in a hundred is ten times as large.",
)
one_sample = _of_fit(
    "one bad sample",
    lambda X, rng: _with(X, (0, slice(None), 100), 1e4 * rng.normal(size=10)),
    "One sample of one recording is ten thousand times as large.",
)
drift = _of_fit(
    "slow drift",
    lambda X, rng: (
        X + 3 * np.cos(np.linspace(0, np.pi, X.shape[2]) + 6 * rng.uniform(size=(len(X), 10, 1)))
    ),
    "Regions drift by three standard deviations over a recording; no high-pass filter.",
)
bursts = _of_fit(
    "bursts of muscles",
    lambda X, rng: _with(X, (..., slice(60, 80)), 6 * X[..., 60:80]),
    "All regions are six times as loud for 20 samples of each recording.",
)
response = _of_fit(
    "a slow response",
    lambda X, rng: np.apply_along_axis(np.convolve, 2, X, RESPONSE)[..., : X.shape[2]],
    "Recordings follow activity by a hemodynamic response of nine samples.",
)
dependent = _of_fit(
    "noise that depends on its past",
    lambda X, rng: lfilter([1.0], [1.0, -0.9], X, axis=2),
    "Each sample keeps nine tenths of the one before.",
)
delays = _of_fit(
    "delays of regions",
    lambda X, rng: np.array([[np.roll(x, rng.integers(6)) for x in one] for one in X]),
    "Regions lag by up to five samples, in each recording by others.",
)
own_order = _of_fit(
    "an order of regions in each recording",
    lambda X, rng: np.array([x[rng.permutation(10)] for x in X]),
    "Regions come in another order in each recording.",
)
zeros = _of_fit(
    "gaps of zeros",
    lambda X, rng: _with(X, (slice(None), slice(None), slice(100, 140)), 0.0),
    "Bad stretches were set to zero instead of NaN.",
)
held = _of_fit(
    "held values",
    lambda X, rng: np.repeat(X[:, :, ::5], 5, axis=2),
    "Recordings were brought to a higher rate by repeating samples.",
)
copies = _of_fit(
    "a region twice",
    lambda X, rng: _with(X, (slice(None), 9), X[:, 8]),
    "A region is the copy of another.",
)
flat = _of_fit(
    "a flat region",
    lambda X, rng: _with(X, (slice(None), 4), 0.0),
    "A region is zero in all recordings.",
)
integers = _of_fit(
    "integers",
    lambda X, rng: np.round(X * 1000).astype(np.int32),
    "Recordings are integers as a file keeps them.",
)
volts = _of_fit(
    "tiny units",
    lambda X, rng: X * 10.0 ** rng.integers(-13, 1, size=(1, 10, 1)),
    "Regions come in units from tesla to picotesla.",
)
order_of_regions = _of_new(
    "another order of regions",
    lambda X, rng: X[:, rng.permutation(10)],
    "New recordings have the regions in another order.",
)
dead_region = _of_new(
    "a dead region",
    lambda X, rng: _with(X, (slice(None), 3), 1e-3 * rng.normal(size=X[:, 3].shape)),
    "A region of new recordings carries no signal.",
)
loud_region = _of_new(
    "a loud region",
    lambda X, rng: _with(X, (slice(None), 3), 30 * X[:, 3] + 30 * rng.normal(size=X[:, 3].shape)),
    "A region of new recordings is full of noise, thirty times as loud.",
)
new_units = _of_new(
    "new units",
    lambda X, rng: 1e6 * X,
    "New recordings are in microvolt, those of the fit in volt.",
)
smoothed = _of_new(
    "another filter",
    lambda X, rng: np.cumsum(X - X.mean(2, keepdims=True), axis=2) / 3,
    "New recordings were filtered otherwise: mostly slow waves are left.",
)
empty_room = _of_new(
    "an empty room",
    lambda X, rng: rng.normal(size=X.shape) * X.std(),
    "New recordings are of noise.",
)

three_times = _of_new(
    "three times as large",
    lambda X, rng: 3 * X,
    "New recordings are three times as large; nobody asks whether they are unusual.",
    asked=False,
)
order_unasked = _of_new(
    "another order of regions, unasked",
    lambda X, rng: X[:, rng.permutation(10)],
    "New recordings have the regions in another order; nobody asks whether they are unusual.",
    asked=False,
)
new_signs = _of_new(
    "other signs",
    lambda X, rng: X * rng.permutation([-1.0, 1.0] * 5)[:, None],
    "Half of the regions of new recordings have the other sign.",
    asked=False,
)
new_offsets = _of_new(
    "new offsets",
    lambda X, rng: X + 1.5 * X.std() * rng.normal(size=(10, 1)),
    "Regions of new recordings have an offset.",
    asked=False,
)


@violation("a dead region after alignment", right=MOST)
def dead_after_alignment(seed, broken):
    """Recordings have gains of their own and are aligned; a region of new ones is dead."""
    X, states = _world(seed, N_MORE + N_NEW)
    rng = _rng(seed)
    X = X * rng.lognormal(0, 0.5, (len(X), 10, 1))
    model = _model(align="covariance").fit(X[:N_MORE])
    new = X[N_MORE:].copy()
    if broken:
        new[:, 3] = 1e-3 * rng.normal(size=new[:, 3].shape)
    flag = flag_of(model.is_unusual(new))
    return Answer(_error(states[N_MORE:], model.predict(new)), 0.1, flag)


@fresh("HiddenMarkovGraph")
def new_subjects(seed):
    """Recordings of twelve subjects, and of twenty others."""
    X, _ = _world(seed, 32)
    return _model().fit(X[:N_MORE]), X[N_MORE:]
