import mne
import nibabel as nib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from sklearn_meg import HiddenMarkovGraph
from sklearn_meg.dynamics import (
    AmplitudeEnvelope,
    StateWarning,
    TimeDelayEmbedding,
    label_time_courses,
    read_parcellated_bold,
    states_to_annotations,
)
from sklearn_meg.dynamics.metrics import state_accuracy
from sklearn_meg.dynamics.preprocessing import orthogonalized

SFREQ = 200.0


def test_envelope_of_a_modulated_oscillation():
    t = np.arange(2000) / SFREQ
    amplitude = 2 + np.sin(2 * np.pi * 0.5 * t)
    X = (amplitude * np.sin(2 * np.pi * 20 * t) + 5 * np.sin(2 * np.pi * 3 * t))[None, None]
    model = AmplitudeEnvelope(sfreq=SFREQ, band=(10, 30), smooth=0.05, sfreq_out=50).fit(X)
    assert (model.step_, model.sfreq_out_) == (4, 50)
    found = model.transform(X)
    assert found.shape == (1, 1, 500)
    np.testing.assert_allclose(found[0, 0, 25:-25], amplitude[::4][25:-25], atol=0.05)
    logs = clone(model).set_params(log=True).fit_transform(X)
    np.testing.assert_allclose(np.exp(logs), found)


def test_leakage_makes_no_correlation_of_amplitudes():
    rng = np.random.default_rng(0)
    sources = rng.normal(size=(3, 4000)) * (
        1 + (np.arange(4000) // 400 + np.arange(3)[:, None]) % 3
    )
    mixed = np.array([[1, 0.6, 0.0], [0.6, 1, 0], [0, 0, 1]]) @ sources
    plain = AmplitudeEnvelope(sfreq=SFREQ).fit_transform([mixed])[0]
    clean = AmplitudeEnvelope(sfreq=SFREQ, orthogonalize=True).fit_transform([mixed])[0]
    truth = np.corrcoef(AmplitudeEnvelope(sfreq=SFREQ).fit_transform([sources])[0])[0, 1]
    assert abs(np.corrcoef(clean)[0, 1] - truth) < abs(np.corrcoef(plain)[0, 1] - truth) / 2
    x = orthogonalized(mixed.T)
    products = x.T @ x
    np.testing.assert_allclose(products, np.diag(np.diag(products)), atol=1e-6 * products.max())
    with pytest.raises(ValueError, match="independent.*4 regions have rank 3"):
        AmplitudeEnvelope(sfreq=SFREQ, orthogonalize=True).fit_transform([mixed[[0, 1, 2, 2]]])


def test_embedding_tells_spectra_apart():
    rng = np.random.default_rng(0)
    t = np.arange(3000) / SFREQ
    states = (np.arange(3000) // 250) % 2
    phase = 2 * np.pi * np.cumsum(np.where(states, 25.0, 10.0)) / SFREQ
    X = np.sin(phase + np.arange(4)[:, None]) + 0.5 * rng.normal(size=(4, 3000))
    embedding = TimeDelayEmbedding(n_lags=11, n_components=6)
    model = make_pipeline(embedding, HiddenMarkovGraph(n_states=2, n_init=3, random_state=0)).fit(
        [X]
    )
    assert state_accuracy(states[5:-5], model.predict([X])[0]) > 0.97
    assert len(t) - 10 == len(model.predict([X])[0])


def test_embedding_is_a_rotation_and_goes_back():
    X = np.random.default_rng(0).normal(size=(2, 3, 200)).cumsum(axis=2)
    embedding = TimeDelayEmbedding(n_lags=3).fit(X)
    Z = embedding.transform(X)
    assert Z.shape == (2, 9, 198)
    flat = Z.transpose(0, 2, 1).reshape(-1, 9)
    covariance = np.cov(flat.T, bias=True)
    np.testing.assert_allclose(
        covariance, np.diag(np.diag(covariance)), atol=1e-8 * covariance.max()
    )
    assert (np.diff(embedding.explained_variance_ratio_) <= 0).all()
    lagged = np.concatenate(
        [np.stack([x[i, lag : 198 + lag] for i in range(3) for lag in range(3)], 1) for x in X]
    )
    back = embedding.region_covariances(covariance[None])[0]
    np.testing.assert_allclose(back, np.cov(lagged.T, bias=True), atol=1e-8 * back.max())
    white = TimeDelayEmbedding(n_lags=3, n_components=4, whiten=True).fit_transform(X)
    np.testing.assert_allclose(white.transpose(0, 2, 1).reshape(-1, 4).std(0), 1)
    one = embedding.transform(X[0].T)
    np.testing.assert_allclose(one, Z[0].T)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (AmplitudeEnvelope(sfreq=0), "sfreq"),
        (AmplitudeEnvelope(sfreq=SFREQ, band=(30, 10)), "'band'"),
        (AmplitudeEnvelope(sfreq=SFREQ, band=(10, 120)), "sfreq / 2 = 100.0"),
        (AmplitudeEnvelope(sfreq=SFREQ, smooth=-1), "smooth"),
        (AmplitudeEnvelope(sfreq=SFREQ, orthogonalize="yes"), "orthogonalize"),
        (TimeDelayEmbedding(n_lags=4), "odd"),
        (TimeDelayEmbedding(n_lags=3, n_components=99), "at most 6"),
        (TimeDelayEmbedding(n_lags=99), "at least 100 samples. Got 50"),
        (TimeDelayEmbedding(n_lags=3.0), "n_lags"),
    ],
)
def test_bad_parameters(model, message):
    with pytest.raises((ValueError, TypeError), match=message):
        model.fit(np.random.default_rng(0).normal(size=(1, 2, 50)))


def test_states_become_annotations_of_a_recording():
    states = np.array([1, 1, 0, 0, 0, -1, 1])
    visits = states_to_annotations(states, 10.0, first_time=0.2, names=["rest", "task"])
    assert list(visits.description) == ["task", "rest", "task"]
    np.testing.assert_allclose(visits.onset, [0.2, 0.4, 0.8])
    np.testing.assert_allclose(visits.duration, [0.2, 0.3, 0.1])
    raw = mne.io.RawArray(np.zeros((1, 20)), mne.create_info(1, 10.0), verbose="error")
    raw.set_annotations(visits)
    assert len(raw.annotations) == 3
    for bad, message in ((states[None], "one recording"), (states.astype(float), "of int")):
        with pytest.raises(ValueError, match=message):
            states_to_annotations(bad, 10.0)
    with pytest.raises(ValueError, match="above 0 Hz"):
        states_to_annotations(states, 0)
    with pytest.raises(ValueError, match="hold 2 states. Got 1"):
        states_to_annotations(states, 10.0, names=["rest"])


def test_labels_of_source_estimates():
    rng = np.random.default_rng(0)
    src = mne.SourceSpaces(
        [
            {
                "vertno": np.arange(6), "nn": np.tile([0, 0, 1.0], (6, 1)), "type": "surf",
                "subject_his_id": "s", "nuse": 6, "id": number, "coord_frame": 5,
                "rr": np.zeros((6, 3)), "inuse": np.ones(6, int), "np": 6, "pinfo": None,
                "patch_inds": None, "nearest": None, "dist": None, "dist_limit": None,
            }
            for number in (101, 102)
        ]
    )  # fmt: skip
    vertices = [np.arange(6), np.arange(6)]
    stcs = [mne.SourceEstimate(rng.normal(size=(12, n)), vertices, 0, 0.01, "s") for n in (40, 30)]
    labels = [
        mne.Label([0, 1, 2], hemi="lh", subject="s"),
        mne.Label([3, 4], hemi="rh", subject="s"),
    ]
    X = label_time_courses(stcs, labels, src, mode="mean")
    assert [x.shape for x in X] == [(2, 40), (2, 30)]
    np.testing.assert_allclose(X[0][0], stcs[0].data[:3].mean(0))
    np.testing.assert_allclose(X[1][1], stcs[1].data[9:11].mean(0))


def test_bold_of_an_atlas(tmp_path):
    rng = np.random.default_rng(0)
    numbers = np.zeros((3, 3, 3), dtype=np.int16)
    numbers[0], numbers[1] = 7, 2
    bold = rng.normal(10, 2, size=(3, 3, 3, 40))
    nib.save(nib.Nifti1Image(numbers, np.eye(4)), tmp_path / "atlas.nii.gz")
    nib.save(nib.Nifti1Image(bold, np.eye(4)), tmp_path / "bold.nii.gz")
    X, regions = read_parcellated_bold(
        tmp_path / "bold.nii.gz", tmp_path / "atlas.nii.gz", standardize=False
    )
    np.testing.assert_array_equal(regions, [2, 7])
    np.testing.assert_allclose(X[0], [bold[1].mean((0, 1)), bold[0].mean((0, 1))], rtol=1e-6)
    scaled, _ = read_parcellated_bold([tmp_path / "bold.nii.gz"] * 2, tmp_path / "atlas.nii.gz")
    assert len(scaled) == 2
    np.testing.assert_allclose(scaled[1].std(1), 1)

    atlas = nib.Nifti1Image(numbers, np.eye(4))
    bad = {
        "on the grid": (nib.Nifti1Image(bold[:2], np.eye(4)), atlas),
        "affines": (nib.Nifti1Image(bold, 2 * np.eye(4)), atlas),
        "a region above 0": (
            nib.Nifti1Image(bold, np.eye(4)), nib.Nifti1Image(0 * numbers, np.eye(4)),
        ),
        "do not vary": (nib.Nifti1Image(np.ones_like(bold), np.eye(4)), atlas),
    }  # fmt: skip
    for message, arguments in bad.items():
        with pytest.raises(ValueError, match=message):
            read_parcellated_bold(*arguments)


def test_recordings_of_mne_are_taken_as_they_are():
    rng = np.random.default_rng(0)
    info = mne.create_info(["A", "B", "C", "S"], SFREQ, ["eeg"] * 3 + ["stim"])
    raws = [mne.io.RawArray(rng.normal(size=(4, n)), info, verbose="error") for n in (90, 110)]
    arrays = [raw.get_data()[:3] for raw in raws]
    fitted = [HiddenMarkovGraph(n_states=1, n_init=1).fit(X) for X in (raws, arrays)]
    np.testing.assert_array_equal(fitted[0].covariances_, fitted[1].covariances_)
    assert [len(states) for states in fitted[0].predict(raws)] == [90, 110]
    assert [len(states) for states in fitted[0].predict(raws[0])] == [90]
    turned = raws[1].copy().reorder_channels(["B", "A", "C", "S"])
    with pytest.raises(ValueError, match=r"same order. X\[0\] and X\[1\] differ in their order"):
        fitted[0].predict([raws[0], turned])
    epochs = mne.EpochsArray(rng.normal(size=(2, 4, 100)), info, verbose="error")
    envelope = AmplitudeEnvelope(sfreq=SFREQ, sfreq_out=100)
    np.testing.assert_array_equal(
        envelope.fit_transform(epochs), envelope.fit_transform(epochs.get_data()[:, :3])
    )


def test_transposed_recordings_are_told():
    X = np.random.default_rng(0).normal(size=(3, 4, 60))
    model = HiddenMarkovGraph(n_states=1, n_init=1, emission="gaussian")
    with pytest.warns(StateWarning, match=r"X\[0\] has 60 regions and 4 samples: recordings in a"):
        model.fit([x.T for x in X])
    with pytest.warns(StateWarning, match=r"X has 60 regions and 4 samples: a single recording"):
        model.fit(X[0])
    model.fit(list(X))
    with pytest.raises(ValueError, match=r"One recording is \(n_times, n_regions\): X.T"):
        model.predict(X[0])
    with pytest.raises(ValueError, match=r"are turned by \[x.T for x in X\]"):
        model.fit([X[0].T, X[1].T[:50]])
    with pytest.raises(TypeError, match=r"only once. Give list\(X\)"):
        model.fit(x for x in X)
