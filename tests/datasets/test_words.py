"""The word simulator: what is promised about it, measured."""

import pickle

import numpy as np
import pytest

from sklearn_meg.datasets import make_words, word_response, words_to_epochs


@pytest.fixture(scope="module")
def worlds():
    return {world: make_words(world, n_subjects=3, n_trials=200) for world in "LNS"}


def across_trials(a, b):
    """Pearson R over trials for each channel and time."""
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    return (a * b).sum(axis=0) / np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))


def oracle(data):
    late = data.times >= 0
    each = [
        across_trials(data.meg[data.subjects == s], data.evoked[data.subjects == s])
        for s in np.unique(data.subjects)
    ]
    return np.mean(each, axis=0)[:, late].mean()


def linear_score(data, powers=False):
    """R on held-out trials of a ridge regression on 1 s of lags."""
    scores = []
    late = data.times >= 0
    for subject in np.unique(data.subjects):
        keep = data.subjects == subject
        stimulus, meg = data.features[keep], data.meg[keep]
        if powers:
            _, length, frequency = stimulus.swapaxes(0, 1)
            more = np.stack([length**2, length * frequency, frequency**2], axis=1)
            stimulus = np.concatenate([stimulus, more], axis=1)
        lags = [
            np.pad(stimulus, ((0, 0), (0, 0), (lag, 0)))[:, :, : len(late)] for lag in range(40)
        ]
        design = np.concatenate(lags, axis=1).swapaxes(1, 2)
        train, n_train = design[:140].reshape(-1, design.shape[2]), 140
        target = meg[:n_train] - meg[:n_train].mean(axis=(0, 2), keepdims=True)
        target = target.swapaxes(1, 2).reshape(len(train), -1)
        gram = train.T @ train + 300.0 * np.eye(train.shape[1])
        weights = np.linalg.solve(gram, train.T @ target)
        predicted = (design[n_train:] @ weights).swapaxes(1, 2)
        scores.append(across_trials(meg[n_train:], predicted)[:, late].mean())
    return np.mean(scores)


def test_shapes_and_rows(worlds):
    data = worlds["N"]
    assert data.X.shape == (600, 16, 101) and data.y.shape == (600, 12, 101)
    assert data.evoked.shape == data.meg.shape and data.responses.shape == (3, 3, 12, 101)
    assert data.times[0] == -0.5 and data.times[-1] == 2.0
    np.testing.assert_array_equal(data.X[:, :3], data.features)
    np.testing.assert_array_equal(data.X[:, data.rows["subject_row"], 0], data.subjects)
    initial = data.X[:, data.rows["initial_rows"]]
    n_initial = data.rows["n_initial"]
    np.testing.assert_array_equal(initial[:, :, :n_initial], data.meg[:, :, :n_initial])
    assert (initial[:, :, n_initial:] == 0).all()


def test_words_are_as_described(worlds):
    data = worlds["N"]
    onset = data.features[:, 0]
    zero = np.flatnonzero(data.times == 0)[0]
    assert (onset[:, zero : zero + 10] == 1).all() and (onset[:, zero - 2] == 0).all()
    np.testing.assert_array_equal(data.features[:, 1, zero], data.length)
    np.testing.assert_array_equal(data.features[:, 2, zero], data.frequency)
    assert np.corrcoef(data.length, data.frequency)[0, 1] == pytest.approx(-0.6, abs=0.1)
    assert data.length.std() == pytest.approx(1, abs=0.1)
    starts = np.diff(onset[:, zero:], axis=1) > 0
    trial, sample = np.nonzero(starts)
    first = sample[np.r_[True, np.diff(trial) > 0]] + 1  # the word after the one at 0
    assert first.min() >= 0.3 * 40 and first.max() <= 0.9 * 40
    assert first.mean() == pytest.approx(0.6 * 40, rel=0.05)


def test_share_of_signal(worlds):
    scores = {world: oracle(data) for world, data in worlds.items()}
    # The correlations of the oracle that these worlds were designed to have.
    for world, designed in {"L": 0.56, "N": 0.36, "S": 0.23}.items():
        assert scores[world] == pytest.approx(designed, abs=0.06)


def test_linear_models_do_well_in_world_l_only(worlds):
    assert linear_score(worlds["L"]) > 0.8 * oracle(worlds["L"])
    linear, quadratic = linear_score(worlds["N"]), linear_score(worlds["N"], powers=True)
    assert linear < 0.4 * oracle(worlds["N"])
    assert 1.5 * linear < quadratic < 0.75 * oracle(worlds["N"])


def test_alpha_is_strong_and_long_in_world_s(worlds):
    def alpha_power(data):
        ongoing = data.meg - data.evoked
        spectrum = np.abs(np.fft.rfft(ongoing[:, :, :80], axis=2)) ** 2
        frequency = np.fft.rfftfreq(80, 1 / data.sfreq)
        near = np.abs(frequency - 10) < 1
        return spectrum[:, :, near].mean(), spectrum[:, :, np.abs(frequency - 5) < 1].mean()

    for world in "LNS":
        alpha, below = alpha_power(worlds[world])
        assert alpha > 3 * below
    assert alpha_power(worlds["S"])[0] > 2 * alpha_power(worlds["N"])[0]


def test_words_damp_alpha(worlds):
    data = worlds["S"]
    words = data.features[:, 0].mean(axis=1)
    power = ((data.meg - data.evoked) ** 2).mean(axis=(1, 2))
    assert np.corrcoef(words, power)[0, 1] < -0.1


def test_in_world_c_the_word_before_matters():
    size = {"n_subjects": 2, "n_trials": 60, "n_channels": 4}
    plain, context = (make_words(world, **size) for world in "NC")
    np.testing.assert_array_equal(plain.features, context.features)
    ratio = context.evoked.var() / plain.evoked.var()
    assert 0.7 < ratio < 1.6
    r = across_trials(plain.evoked, context.evoked)[:, plain.times > 0].mean()
    assert 0.3 < r < 0.9
    assert context.delays.std() == pytest.approx(2 * plain.delays.std())


def test_evoked_is_the_sum_of_true_responses():
    data = make_words("L", n_subjects=2, n_trials=4, tmax=0.3)
    wide = np.arange(-400, 401) / 40
    base, longer, frequent = (
        word_response(data, times=wide),
        word_response(data, length=1.0, times=wide) - word_response(data, times=wide),
        word_response(data, frequency=1.0, times=wide) - word_response(data, times=wide),
    )
    starts = np.diff(data.features[:, 0], axis=1, prepend=0) > 0
    for trial, subject in enumerate(data.subjects):
        total = 0
        for sample in np.flatnonzero(starts[trial]):
            _, length, frequency = data.features[trial, :, sample]
            response = base[subject] + length * longer[subject] + frequency * frequent[subject]
            total = total + response[:, 400 - sample : 400 - sample + len(data.times)]
        first = np.flatnonzero(starts[trial])[0]
        late = slice(max(first, 32), None)  # responses to the words before the trial are over
        np.testing.assert_allclose(total[:, late], data.evoked[trial][:, late], atol=1e-3)


def test_responses_of_the_worlds(worlds):
    for data in worlds.values():
        plain = word_response(data)
        np.testing.assert_allclose(
            plain + data.responses[:, 1], word_response(data, length=1.0), atol=1e-12
        )
        assert np.abs(data.responses[:, :, :, data.times < 0]).max() < 0.02
    linear = word_response(worlds["L"], length=2.0) - word_response(worlds["L"])
    np.testing.assert_allclose(linear, 2 * worlds["L"].responses[:, 1], atol=1e-12)
    curved = word_response(worlds["N"], length=2.0) - word_response(worlds["N"])
    assert np.abs(curved - 2 * worlds["N"].responses[:, 1]).max() > 0.1


def test_subjects_differ_but_share(worlds):
    patterns = worlds["N"].mixing.reshape(3, -1)
    correlation = np.corrcoef(patterns)[np.triu_indices(3, 1)]
    assert 0.5 < correlation.min() and correlation.max() < 0.95


def test_seeds():
    a, b, c = (make_words(n_subjects=2, n_trials=3, random_state=s) for s in (1, 1, 2))
    assert a.X.tobytes() == b.X.tobytes() and a.y.tobytes() == b.y.tobytes()
    assert a.y.tobytes() != c.y.tobytes()
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    make_words(n_subjects=1, n_trials=2, random_state=None)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_snr_only_changes_the_noise():
    a, b = (make_words("N", n_subjects=1, n_trials=5, snr=snr) for snr in (1.0, 4.0))
    np.testing.assert_array_equal(a.evoked, b.evoked)
    assert (b.meg - b.evoked).std() < (a.meg - a.evoked).std()


def test_single_precision_is_the_same_data():
    settings = {"n_subjects": 2, "n_trials": 3, "n_channels": 30, "sfreq": 120.0}
    half, full = make_words(**settings, dtype=np.float32), make_words(**settings)
    assert half.X.dtype == half.y.dtype == half.evoked.dtype == np.float32
    assert half.X.shape == (6, 34, 301)
    np.testing.assert_allclose(half.y, full.y, rtol=1e-6)


def test_epochs_and_pickle():
    data = make_words(n_subjects=2, n_trials=4)
    epochs = words_to_epochs(data, subject=1)
    np.testing.assert_allclose(epochs.get_data(), data.meg[4:] * 1e-13)
    np.testing.assert_allclose(epochs.times, data.times)
    np.testing.assert_array_equal(epochs.metadata["length"], data.length[4:])
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        words_to_epochs(data, subject=2)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(data)).y, data.y)


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"world": "X"}, "world must be one of"),
        ({"n_subjects": 0}, "n_subjects must be an int"),
        ({"n_trials": 2.5}, "n_trials must be an int"),
        ({"sfreq": 10.0}, "sfreq must be at least 25"),
        ({"tmin": 0.5}, "tmin and tmax"),
        ({"tmin": -0.1, "tmax": 0.1}, "initial window"),
        ({"snr": 0}, "snr must be"),
        ({"dtype": np.int64}, "dtype must be"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_words(**parameters)
