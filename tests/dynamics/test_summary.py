import mne
import numpy as np
import pytest

from sklearn_meg.dynamics import (
    AmplitudeEnvelope,
    TimeDelayEmbedding,
    compare_groups,
    interval_asymmetry,
    state_spectra,
    state_table,
    state_visits,
)

STATES = [np.array([0, 0, 1, 1, 1, 0, 2, 2, 0, -1, 1]), np.array([1, 1, 1, 1, 0, 0])]
SFREQ = 100.0


def test_visits_and_lifetimes_as_counted_by_hand():
    visits = state_visits(STATES, sfreq=2.0)
    first = visits[visits["recording"] == 0]
    assert first["state"].tolist() == [0, 1, 0, 2, 0, 1]
    np.testing.assert_allclose(first["duration"] * 2, [2, 3, 1, 2, 1, 1])
    np.testing.assert_allclose(first["start"] * 2, [0, 2, 5, 6, 8, 10])
    assert first["complete"].tolist() == [False, True, True, True, False, False]
    table = state_table(STATES, sfreq=2.0).set_index(["recording", "state"])
    row = table.loc[(0, 0)]
    np.testing.assert_allclose(row["occupancy"], 4 / 10)
    np.testing.assert_allclose(row["lifetime"] * 2, 4 / 3)
    np.testing.assert_allclose(row["interval"] * 2, 2.5)
    assert row["visits"] == 3
    np.testing.assert_allclose(row["switching"], 4 / 8 * 2)
    assert np.isnan(table.loc[(0, 1), "interval"])  # an unknown sample lies in it
    assert table.loc[(1, 2), "visits"] == 0 and np.isnan(table.loc[(1, 2), "lifetime"])
    whole = state_table(STATES, complete=True).set_index(["recording", "state"])
    assert whole.loc[(0, 0), "lifetime"] == 1
    with pytest.raises(ValueError, match="whole numbers"):
        state_table(np.ones(3))


def test_cycles_are_asymmetric_and_chance_is_not():
    cycle = np.tile([0, 1, 2], 50)
    found = interval_asymmetry([cycle, cycle[::-1]])
    np.testing.assert_allclose(found[0], -found[1])
    np.testing.assert_allclose(found[0, 0], [0, 1, -1])
    chance = np.random.default_rng(0).integers(0, 3, size=20000)
    assert np.abs(interval_asymmetry(chance)).max() < 0.05


@pytest.mark.parametrize("kind", ["independent", "paired"])
def test_groups_are_told_apart_at_the_level_that_is_asked_for(kind):
    rng = np.random.default_rng(0)
    groups = np.repeat(["a", "b"], 12)
    people = np.tile(rng.normal(size=(12, 4)), (2, 1)) if kind == "paired" else 0
    values = people + 0.5 * rng.normal(size=(24, 4))
    values[groups == "b", 2] += 1.5
    table = compare_groups(values, groups, kind=kind, n_permutations=500, random_state=0)
    assert (table["p"] < 0.05).tolist() == [False, False, True, False]
    assert table["difference"][2] > 0.8
    again = compare_groups(values, groups, kind=kind, n_permutations=500, random_state=0)
    assert again.equals(table)
    with pytest.raises(ValueError, match="one of two groups"):
        compare_groups(values, np.zeros(24))


def test_spectra_are_those_of_mne_where_one_state_is_on():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1, 3, 400)).cumsum(axis=2)
    spectra = state_spectra(X, np.ones((1, 400, 1)), SFREQ, window=4.0, bandwidth=2.0)
    psd, freqs = mne.time_frequency.psd_array_multitaper(
        X[0], SFREQ, bandwidth=2.0, remove_dc=False, normalization="full", verbose="error"
    )
    np.testing.assert_allclose(spectra.freqs, freqs)
    np.testing.assert_allclose(spectra.psd[0], psd, rtol=1e-6)
    np.testing.assert_allclose(np.einsum("kiif->kif", spectra.coherence), 1)


def test_spectra_of_a_posterior_are_a_direct_multitaper_estimate():
    from scipy.signal.windows import dpss

    rng = np.random.default_rng(0)
    X = rng.normal(size=(2, 2, 450))
    P = rng.dirichlet([1, 1], size=(2, 450))
    spectra = state_spectra(X, P, SFREQ, window=2.0, bandwidth=3.0)
    tapers, ratios = dpss(200, 3.0, 6, sym=False, return_ratios=True)
    good = ratios > 0.9
    expected, norm = np.zeros(101), 0.0
    for r in range(2):
        for start in (0, 200):
            own = P[r, start : start + 200, 1]
            F = np.fft.rfft(tapers[good] * (X[r, 0, start : start + 200] * own), axis=-1)
            expected += (ratios[good, None] * np.abs(F) ** 2).sum(0) / ratios[good].sum() / SFREQ
            norm += (own**2).mean()
    expected[1:-1] *= 2
    np.testing.assert_allclose(spectra.psd[1, 0], expected / norm, rtol=1e-6)


@pytest.mark.parametrize("method", ["multitaper", "regression"])
def test_rhythms_of_states_are_found_and_gaps_left_out(method):
    rng = np.random.default_rng(0)
    t = np.arange(6000) / SFREQ
    on = (t % 20 < 10).astype(float)
    common = np.where(on > 0, np.sin(2 * np.pi * 10 * t), np.sin(2 * np.pi * 25 * t))
    X = common + 0.7 * rng.normal(size=(3, 6000))
    X[:, 500:520] = np.nan
    P = np.stack([on, 1 - on], axis=1)
    spectra = state_spectra([X], [P], SFREQ, method=method)
    assert spectra.freqs[spectra.psd[0].mean(0).argmax()] == 10
    assert spectra.freqs[spectra.psd[1].mean(0).argmax()] == 25
    off = ~np.eye(3, dtype=bool)
    assert spectra.mean_coherence((9, 11))[0][off].min() > 0.5
    assert spectra.mean_coherence((9, 11))[1][off].max() < 0.3
    one = state_spectra([X], [P], SFREQ, method=method, by_recording=True)[0]
    np.testing.assert_allclose(one.psd, spectra.psd)
    with pytest.raises(ValueError, match="same samples"):
        state_spectra([X], [P[:-1]], SFREQ)
    with pytest.raises(ValueError, match="too short"):
        state_spectra([X], [P], SFREQ, window=0.1)


def _raw(X):
    raw = mne.io.RawArray(X, mne.create_info(len(X), SFREQ), verbose="error")
    raw.set_annotations(mne.Annotations([3.0], [0.5], ["BAD_jump"]))
    return raw


def test_bad_stretches_of_mne_become_gaps():
    X = np.random.default_rng(0).normal(size=(3, 1000))
    X[:, 310:320] += 100
    marked = X.copy()
    marked[:, 300:350] = np.nan
    embedding = TimeDelayEmbedding(lags=range(-10, 11, 5), n_components=4).fit([_raw(X)])
    Z = embedding.transform([_raw(X)])[0]
    np.testing.assert_array_equal(Z, embedding.transform([marked])[0])
    gap = np.isnan(embedding.to_original_times(Z[0].copy())[10:-10])
    np.testing.assert_array_equal(np.flatnonzero(gap) + 10, np.arange(290, 360))
    np.testing.assert_allclose(Z[:, :200], embedding.transform([X[:, :220]])[0])
    envelope = AmplitudeEnvelope(sfreq=SFREQ, band=(8, 12), smooth=0, sfreq_out=SFREQ)
    amplitude = envelope.fit_transform([_raw(X)])[0]
    np.testing.assert_array_equal(np.isnan(amplitude[0]), np.isnan(marked[0]))
    alone = envelope.transform([X[:, :300]])[0]
    np.testing.assert_allclose(amplitude[:, :300], alone)


def test_states_come_back_at_the_times_of_the_recording():
    X = np.random.default_rng(0).normal(size=(1, 2, 7500))
    envelope = AmplitudeEnvelope(sfreq=250.0, sfreq_out=40.0).fit(X)
    found = envelope.transform(X)
    assert envelope.sfreq_out_ == 40 and found.shape[2] == 1200  # 30 seconds
    states = np.arange(1200)
    back = envelope.to_original_times(states, 7500)
    np.testing.assert_array_equal(back, np.minimum(np.rint(np.arange(7500) * 40 / 250), 1199))
    embedding = TimeDelayEmbedding(lags=(0, 1, 4)).fit(X)
    values = np.arange(len(embedding.transform(X)[0, 0]))
    back = embedding.to_original_times(values, 7500)
    assert (back[:7496] == values).all() and (back[-4:] == -1).all()
    with pytest.raises(ValueError, match="7500 samples. Got 7400"):
        embedding.to_original_times(values, 7400)


def test_embedding_goes_back_to_regions():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1, 3, 3000)).cumsum(axis=2) * 0.1 + 5
    embedding = TimeDelayEmbedding(n_lags=5).fit(X)
    Z = embedding.transform(X)[0]
    back = embedding.region_means(Z.mean(1)[None])[0]
    np.testing.assert_allclose(back[2::5], X[0, :, 2:-2].mean(1), atol=1e-6)
    same = embedding.region_covariances(np.cov(Z, bias=True)[None], lag=0)[0]
    np.testing.assert_allclose(same, np.cov(X[0, :, 2:-2], bias=True), atol=1e-6)
    with pytest.raises(ValueError, match="lag must be one of"):
        embedding.region_covariances(np.cov(Z)[None], lag=9)
    for lags, message in (
        ((0, 0), "increase"),
        (("a",), "sequence of int"),
        ((), "sequence of int"),
    ):
        with pytest.raises(ValueError, match=message):
            TimeDelayEmbedding(lags=lags).fit(X)
