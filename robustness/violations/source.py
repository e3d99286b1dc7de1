"""What users of inverse solvers do to data, noise covariances and forward models."""

from functools import cache

import mne
import numpy as np
from scipy.spatial.transform import Rotation

from sklearn_meg import DipoleSearch, MinimumNorm, RNNSourceSolver
from sklearn_meg.datasets import make_head

from .record import Answer, flag_of, fresh, violation

CENTER = np.array([0.0, 0.0, 0.04])
N_CHANNELS, N_TRIALS, N_TIMES, ONSET = 40, 24, 60, 25
NOISE, CURRENT, BACKGROUND = 1e-14, 6e-8, 6e-9  # T and A m: sensors, source, other sources
NEAR = 0.01  # m


@cache
def _info(shift=0.0, turn=0.0):
    """Magnetometers, moved by `shift` m and turned by `turn` degrees."""
    info = make_head(n_channels=N_CHANNELS).info_at(100.0)
    if shift or turn:
        move = np.eye(4)
        move[:3, :3] = Rotation.from_euler("x", turn, degrees=True).as_matrix()
        move[:3, 3] = [0.6 * shift, 0.0, 0.8 * shift]
        trans = move @ info["dev_head_t"]["trans"]
        info["dev_head_t"] = mne.transforms.Transform("meg", "head", trans)
    return info


@cache
def _forward(shift=0.0, turn=0.0, center=0.0, radius=0.07):
    """Forward of a grid in a sphere: sensors moved, a center that is off, a smaller head."""
    middle = CENTER + [0.0, center, 0.0]
    sphere = mne.make_sphere_model(middle, radius + 0.02, verbose="error")
    src = mne.setup_volume_source_space(
        None,
        pos=15.0,
        sphere=(*middle, radius),
        sphere_units="m",
        exclude=15.0,
        mindist=0.0,
        verbose="error",
    )
    info = _info(shift, turn)
    return mne.make_forward_solution(info, None, src, sphere, eeg=False, verbose="error")


@cache
def _world(seed, amplitude=1.0, n_sources=1):
    """Trials of tangential dipoles in background activity, places (m), and the noise of a trial."""
    rng = np.random.default_rng(seed)
    where, gain = _forward()["source_rr"], _forward()["sol"]["data"]
    outer = np.flatnonzero(np.linalg.norm(where - CENTER, axis=1) > 0.045)
    chosen = [int(rng.choice(outer))]
    while len(chosen) < n_sources:
        away = np.linalg.norm(where[outer][:, None] - where[chosen], axis=2).min(axis=1)
        chosen.append(int(rng.choice(outer[away > 0.05])))
    others = rng.choice(len(where), 60, replace=False)
    mixing = np.array([_field(rng, gain, where, other) for other in others]).T * BACKGROUND
    trials = np.einsum("cs,nst->nct", mixing, rng.standard_normal((N_TRIALS, 60, N_TIMES)))
    trials += NOISE * rng.standard_normal(trials.shape)
    for index, place in enumerate(chosen):
        course = np.zeros(N_TIMES)
        course[ONSET + 3 + 9 * index : ONSET + 21 + 9 * index] = np.hanning(18)
        trials += amplitude * CURRENT * np.outer(_field(rng, gain, where, place), course)
    return trials, where[chosen], _cov(mixing @ mixing.T + NOISE**2 * np.eye(len(trials[0])))


def _field(rng, gain, where, place):
    """Field of a tangential dipole of 1 A m."""
    way = np.cross(where[place] - CENTER, rng.normal(size=3))
    return gain[:, 3 * place : 3 * place + 3] @ way / np.linalg.norm(way)


def _cov(data):
    names = _info()["ch_names"]
    return mne.Covariance(data, list(names), [], [], nfree=10_000)


def _epochs(trials, tmin=-ONSET / 100):
    return mne.EpochsArray(trials, _info().copy(), tmin=tmin, verbose="error")


def _average(trials, nave=N_TRIALS):
    data = trials.mean(axis=0)
    return mne.EvokedArray(data, _info().copy(), -ONSET / 100, nave=nave, verbose="error")


def _search(data, cov, forward=None, **params):
    forward = _forward() if forward is None else forward
    return DipoleSearch(forward=forward, noise_cov=cov, random_state=0, **params).fit(data)


def _miss(model, truth, tolerance=NEAR):
    """How far the found dipoles are from the true ones (m); one too many is as bad as none."""
    found = model.dipole_positions_
    if len(found) != len(truth):
        return Answer(np.inf, tolerance)
    away = np.linalg.norm(found[:, None] - truth, axis=2)
    return Answer(max(away.min(axis=0).max(), away.min(axis=1).max()), tolerance)


def _largest(model):
    """Largest current, whichever way it flows; next to none without a source."""
    return max(np.linalg.norm(model.sources_, axis=2).max(), 1e-30)


@violation("a channel that is dead", right="the source within 1 cm")
def dead_channel(seed, broken):
    """The channel of the strongest response is zero throughout."""
    trials, truth, cov = _world(seed)
    if broken:
        trials = trials.copy()
        trials[:, np.abs(trials.mean(axis=0)).max(axis=1).argmax()] = 0
    return _miss(_search(_epochs(trials), cov), truth)


@violation("jumps in a channel", right="the source within 1 cm")
def jumps(seed, broken):
    """A SQUID loses lock in four trials."""
    trials, truth, cov = _world(seed)
    if broken:
        trials = trials.copy()
        trials[::6, 7, 30:] += 1e-10
    return _miss(_search(_epochs(trials), cov), truth)


@violation("channels with the wrong sign", right="the source within 1 cm")
def flipped_channels(seed, broken):
    """A sixth of the channels was wired the other way round; the noise is of those data."""
    trials, truth, cov = _world(seed)
    signs = np.ones(N_CHANNELS)
    signs[::6] = -1.0 if broken else 1.0
    cov = _cov(cov.data * np.outer(signs, signs))
    return _miss(_search(_epochs(trials * signs[:, None]), cov), truth)


@violation("channels in another order", right="the source within 1 cm")
def swapped_channels(seed, broken):
    """Ten channels of an array are in the order of another file than the names say."""
    trials, truth, cov = _world(seed)
    order = np.arange(N_CHANNELS)
    if broken:
        order[5:15] = np.random.default_rng(seed).permutation(order[5:15])
    cov = _cov(cov.data[np.ix_(order, order)])
    return _miss(_search(_epochs(trials[:, order]), cov), truth)


@violation("channels with another gain", right="the source within 1 cm")
def other_gains(seed, broken):
    """Half of the channels were scaled to other units, and the noise measured afterwards."""
    trials, truth, cov = _world(seed)
    gains = np.where(np.arange(N_CHANNELS) % 2 & broken, 10.0, 1.0)
    cov = _cov(cov.data * np.outer(gains, gains))
    return _miss(_search(_epochs(trials * gains[:, None]), cov), truth)


@violation("data in fT, forward model in T", right="currents within a factor of 2")
def other_units(seed, broken):
    """Both data and noise covariance are in fT."""
    trials, _, cov = _world(seed)
    unit = 1e15 if broken else 1.0
    model = _search(_epochs(unit * trials), _cov(unit**2 * cov.data))
    return Answer(abs(np.log2(_largest(model) / CURRENT)), 1.0)


@violation("noise covariance in other units than the data", right="the source within 1 cm")
def other_units_of_noise(seed, broken):
    """The covariance is in fT, the data in T."""
    trials, truth, cov = _world(seed)
    return _miss(_search(_average(trials), _cov((1e30 if broken else 1.0) * cov.data)), truth)


@violation("noise covariance of a hundredth of the noise", right="the source within 1 cm")
def small_noise(seed, broken):
    """The covariance is that of an average and is taken for that of a trial."""
    trials, truth, cov = _world(seed)
    factor = 1e-2 if broken else 1.0
    return _miss(_search(_average(trials), _cov(factor * cov.data)), truth)


@violation("noise covariance of an empty room", right="the source within 1 cm")
def empty_room(seed, broken):
    """The covariance holds the sensors only, the data a brain, too."""
    trials, truth, cov = _world(seed)
    cov = _cov(NOISE**2 * np.eye(N_CHANNELS)) if broken else cov
    return _miss(_search(_average(trials), cov), truth)


@violation("noise covariance from before a projection", right="the source within 1 cm")
def other_rank(seed, broken):
    """Eight directions were taken out of the data afterwards, as Maxwell filters do."""
    trials, truth, cov = _world(seed)
    if broken:
        basis = np.linalg.qr(np.random.default_rng(seed).normal(size=(N_CHANNELS, 8)))[0]
        trials = trials - basis @ (basis.T @ trials)
    return _miss(_search(_epochs(trials), cov), truth)


def _sampled(seed, cov, n_samples, known):
    """Sample covariance of so many samples; as an array nobody knows of how many."""
    rng = np.random.default_rng(1000 + seed)
    samples = np.linalg.cholesky(cov.data) @ rng.standard_normal((N_CHANNELS, n_samples))
    found = samples @ samples.T / n_samples
    if not known:
        return found
    return mne.Covariance(found, list(cov.ch_names), [], [], nfree=n_samples)


def _of_few(seed, broken, n_samples, known):
    """Two trials of a response, or an average of them, and a sample covariance."""
    trials, truth, cov = _world(seed, 3.0)
    cov = _sampled(seed, cov, n_samples if broken else 4000, known)
    return _miss(_search(_average(trials[:2], 2), cov), truth)


@violation("noise covariance of 12 samples", right="the source within 1 cm, and no other")
def few_samples(seed, broken):
    """The covariance of 40 channels is of 12 samples, and the data are an average of 2 trials."""
    return _of_few(seed, broken, 12, known=True)


@violation("noise covariance of as many samples as channels", right="the source within 1 cm")
def samples_as_channels(seed, broken):
    """The covariance of 40 channels is of 41 samples: some directions seem to have no noise."""
    return _of_few(seed, broken, N_CHANNELS + 1, known=True)


@violation("noise covariance of nobody knows how many samples", right="the source within 1 cm")
def unknown_samples(seed, broken):
    """The covariance of 40 channels is of 41 samples, and an array does not say so."""
    return _of_few(seed, broken, N_CHANNELS + 1, known=False)


@violation("no response, five trials, and noise of few samples", right="no source")
def noise_of_few_samples(seed, broken):
    """The event was never shown; five trials are left, and a covariance of 12 samples."""
    trials, truth, cov = _world(seed, 0.0 if broken else 1.0)
    if not broken:
        return _miss(_search(_epochs(trials), cov), truth)
    model = _search(_epochs(trials[:5]), _sampled(seed, cov, 12, known=True))
    return Answer(float(len(model.support_)), 0.5)


@violation("no response, five trials, and no covariance", right="no source")
def noise_of_a_guess(seed, broken):
    """The event was never shown; five trials are left, and the noise is that of all sensors."""
    trials, truth, cov = _world(seed, 0.0 if broken else 1.0)
    if not broken:
        return _miss(_search(_epochs(trials), cov), truth)
    return Answer(
        float(len(_search(_epochs(trials[:5]), mne.make_ad_hoc_cov(_info())).support_)), 0.5
    )


@violation("an average that is told to be a trial", right="currents within a factor of 2")
def average_as_trial(seed, broken):
    """`nave` of an average of 24 trials is 1."""
    trials, _, cov = _world(seed)
    model = _search(_average(trials, 1 if broken else N_TRIALS), cov)
    return Answer(abs(np.log2(_largest(model) / CURRENT)), 1.0)


@violation("a trial that is told to be an average", right="the source within 1 cm, or none")
def trial_as_average(seed, broken):
    """`nave` of one trial of a weak response is 24."""
    trials, truth, cov = _world(seed, 0.5 if broken else 1.0)
    model = _search(_average(trials[: 1 if broken else None]), cov)
    return Answer(0.0, NEAR) if not len(model.support_) else _miss(model, truth)


@violation("a response before the onset", right="the source within 1 cm")
def early_response(seed, broken):
    """The trigger comes 150 ms late, so that the response is in the baseline."""
    trials, truth, cov = _world(seed)
    return _miss(_search(_average(np.roll(trials, -15 * broken, axis=2)), cov), truth)


@violation("sensors 2 cm off", right="the source within 1 cm")
def wrong_position(seed, broken):
    """The head moved 2 cm and 15 degrees after its position was measured."""
    trials, truth, cov = _world(seed)
    forward = _forward(0.02, 15.0) if broken else None
    return _miss(_search(_epochs(trials), cov, forward), truth)


@violation("co-registration 1 cm off", right="within the 95 % volumes, or 1.5 cm")
def wrong_coregistration(seed, broken):
    """The sensors are 1 cm from where the forward model has them."""
    trials, truth, cov = _world(seed)
    return _miss(_search(_epochs(trials), cov, _forward(0.01) if broken else None), truth, 0.015)


@violation("the forward model of another subject", right="the source within 1 cm")
def another_head(seed, broken):
    """The head is 2 cm smaller, and its center 2.5 cm behind."""
    trials, truth, cov = _world(seed)
    forward = _forward(center=-0.025, radius=0.05) if broken else None
    return _miss(_search(_epochs(trials), cov, forward), truth)


@violation("the forward model of another subject, average", right="the source within 1 cm")
def another_head_average(seed, broken):
    """The head is 2 cm smaller, and its center 2.5 cm behind; an average was kept."""
    trials, truth, cov = _world(seed)
    forward = _forward(center=-0.025, radius=0.05) if broken else None
    return _miss(_search(_average(trials), cov, forward), truth)


@violation("sensors 2 cm off, average", right="the source within 1 cm")
def wrong_position_average(seed, broken):
    """The head moved 2 cm and 15 degrees after its position was measured; an average was kept."""
    trials, truth, cov = _world(seed)
    forward = _forward(0.02, 15.0) if broken else None
    return _miss(_search(_average(trials), cov, forward), truth)


@violation("no response", right="no source")
def noise_only(seed, broken):
    """The event was never shown."""
    trials, truth, cov = _world(seed, 0.0 if broken else 1.0)
    model = _search(_epochs(trials), cov)
    return Answer(float(len(model.support_)), 0.5) if broken else _miss(model, truth)


@violation("no response, average", right="no source")
def noise_only_average(seed, broken):
    """The event was never shown, and an average was kept."""
    trials, truth, cov = _world(seed, 0.0 if broken else 1.0)
    model = _search(_average(trials), cov)
    return Answer(float(len(model.support_)), 0.5) if broken else _miss(model, truth)


@violation("trials that are copies", right="no source")
def copied_trials(seed, broken):
    """Six trials without a response were concatenated four times."""
    trials, truth, cov = _world(seed, 0.0 if broken else 1.0)
    model = _search(_epochs(np.repeat(trials[:6], 4, axis=0) if broken else trials), cov)
    return Answer(float(len(model.support_)), 0.5) if broken else _miss(model, truth)


@violation("four trials", right="no source")
def few_trials(seed, broken):
    """The event was never shown, and four trials are left."""
    trials, truth, cov = _world(seed, 0.0 if broken else 1.0)
    model = _search(_epochs(trials[:4] if broken else trials), cov)
    return Answer(float(len(model.support_)), 0.5) if broken else _miss(model, truth)


@violation("blinks after the event", right="the source within 1 cm, and no other")
def blinks(seed, broken):
    """In every sixth trial there is a blink, 150 to 250 ms after the event."""
    trials, truth, cov = _world(seed)
    if broken:
        trials, rng = trials.copy(), np.random.default_rng(seed)
        where, gain = _forward()["source_rr"], _forward()["sol"]["data"]
        eyes = int(where[:, 1].argmax())
        field = 20 * CURRENT * gain[:, 3 * eyes]
        for trial in trials[::6]:
            late = np.arange(N_TIMES) - ONSET - rng.uniform(15, 25)
            trial += np.outer(field, np.exp(-(late**2) / 2 / 5**2))
    return _miss(_search(_epochs(trials), cov), truth)


@violation("a head that moved halfway", right="the source within 1 cm")
def moved_halfway(seed, broken):
    """Half of the trials are from after the head moved 2 cm and turned 15 degrees."""
    trials, truth, cov = _world(seed)
    if broken:
        before, after = (_forward(*each)["sol"]["data"] for each in ((), (0.02, 15.0)))
        half = len(trials) // 2
        late = after @ np.linalg.pinv(before, rcond=1e-3) @ trials[half:]
        trials = np.concatenate([trials[:half], late])
    return _miss(_search(_epochs(trials), cov), truth)


@violation("a response that is not of the brain", right="the source within 1 cm, and no other")
def outside_the_head(seed, broken):
    """Currents below the head, such as those of a nerve stimulator, come with each event."""
    trials, truth, cov = _world(seed)
    if broken:
        trials = trials + _from_below(np.random.default_rng(seed))
    return _miss(_search(_epochs(trials), cov), truth)


def _from_below(rng):
    """Field of a small coil 12 cm below the center of the head, and its course."""
    trans = _info()["dev_head_t"]["trans"]
    places = np.array([channel["loc"][:3] for channel in _info()["chs"]]) @ trans[:3, :3].T
    normals = np.array([channel["loc"][9:12] for channel in _info()["chs"]]) @ trans[:3, :3].T
    away = places + trans[:3, 3] - [*rng.uniform(-0.1, 0.1, 2), CENTER[2] - 0.16]
    moment = rng.normal(size=3)
    far = np.linalg.norm(away, axis=1, keepdims=True)
    field = 3 * away * (away @ moment)[:, None] / far**5 - moment / far**3
    field = (field * normals).sum(axis=1)
    course = np.zeros(N_TIMES)
    course[ONSET : ONSET + 12] = np.hanning(12)
    return 20 * NOISE * np.outer(field / np.abs(field).max(), course)


@violation("more sources asked for than there are", right="as many sources as there are")
def too_many_sources(seed, broken):
    """Four sources are asked for where there is one."""
    trials, truth, cov = _world(seed)
    return _miss(_search(_epochs(trials), cov, n_sources=4 if broken else 1), truth)


@violation("fewer sources asked for than there are", right="all sources within 1 cm")
def too_few_sources(seed, broken):
    """One source is asked for where there are two."""
    trials, truth, cov = _world(seed, n_sources=2)
    return _miss(_search(_epochs(trials), cov, n_sources=1 if broken else 2), truth)


def _in_new_data(seed, spoiled):
    """A model fitted to half of the trials is asked about spoiled ones."""
    trials, _, cov = _world(seed)
    given = {"forward": _forward(), "noise_cov": cov}
    model = MinimumNorm(**given).fit(_epochs(trials[::2]))
    held, changed = trials[1::2], spoiled(trials[1::2])
    before, after = (model.transform(_epochs(part)).mean(axis=0) for part in (held, changed))
    error = np.linalg.norm(after - before) / np.linalg.norm(before)
    return Answer(error, 0.2, flag_of(model.is_unusual(changed)))


@violation("new trials in other units", right="currents within 20 %")
def new_units(seed, broken):
    """New trials are in fT."""
    return _in_new_data(seed, lambda trials: 1e15 * trials if broken else trials)


@violation("new trials with a dead channel", right="currents within 20 %")
def new_dead_channel(seed, broken):
    """The strongest channel dies between the sessions."""

    def spoiled(trials):
        alive = np.ones(N_CHANNELS)
        alive[np.abs(trials.mean(axis=0)).max(axis=1).argmax()] = 0.0 if broken else 1.0
        return trials * alive[:, None]

    return _in_new_data(seed, spoiled)


@violation("new trials with channels in another order", right="currents within 20 %")
def new_order(seed, broken):
    """New trials are sorted by name."""
    order = np.random.default_rng(seed).permutation(N_CHANNELS)
    return _in_new_data(seed, lambda trials: trials[:, order] if broken else trials)


@violation("new trials at half the sampling rate", right="currents within 20 %")
def new_rate(seed, broken):
    """New trials were recorded at half the rate, and cut to the length."""

    def spoiled(trials):
        return np.repeat(trials, 2, axis=2)[..., :N_TIMES] if broken else trials

    return _in_new_data(seed, spoiled)


@fresh("RNNSourceSolver")
def fresh_for_network(seed):
    """Half of the trials."""
    return _fresh(RNNSourceSolver, seed, random_state=0)


@fresh("MinimumNorm")
def fresh_for_minimum_norm(seed):
    """Half of the trials."""
    return _fresh(MinimumNorm, seed)


def _fresh(kind, seed, **params):
    trials, _, cov = _world(seed)
    model = kind(forward=_forward(), noise_cov=cov, **params).fit(_epochs(trials[::2]))
    return model, trials[1::2]
