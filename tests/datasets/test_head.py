"""The head: made of what mne carries, and dipolar; the loaders: no download at import."""

import subprocess
import sys

import matplotlib.pyplot as plt
import mne
import numpy as np
import pytest

from sklearn_meg import datasets
from sklearn_meg.datasets import _real, make_head, make_words, words_to_epochs


@pytest.fixture(scope="module")
def head():
    return make_head(n_channels=60)


@pytest.mark.parametrize("sensors", ["306m", "KIT"])
def test_sensors_surround_the_scalp(sensors):
    head = make_head(sensors)
    folder = _mne_folder() / "data" / "fsaverage"
    (scalp,) = mne.read_bem_surfaces(folder / "fsaverage-head.fif", verbose="error")
    scalp = mne.transforms.apply_trans(mne.transforms.invert_transform(head.trans), scalp["rr"])
    points = np.array([channel["loc"][:3] for channel in head.info["chs"]])
    points = mne.transforms.apply_trans(head.info["dev_head_t"], points)
    nearest = np.linalg.norm(points[:, None] - scalp[None], axis=2).min(axis=1)
    assert 0.012 < nearest.min() and nearest.max() < 0.08
    radial = points - scalp.mean(axis=0)
    normals = np.array([channel["loc"][9:12] for channel in head.info["chs"]])
    assert ((radial * normals).sum(axis=1) > 0).all()


def _mne_folder():
    from pathlib import Path

    return Path(mne.__file__).parent


def test_dipole_field(head):
    left = np.array([-0.05, -0.02, 0.005])
    field = head.leadfield([left, left * [-1, 1, 1]], [[0, 0, 1]] * 2)
    points = np.array([channel["loc"][:3] for channel in head.info["chs"]])
    for column, side in zip(field.T, (-1, 1)):
        strongest = np.argsort(np.abs(column))[-4:]
        assert (np.sign(points[strongest, 0]) == side).all()
        assert column.max() > 0.3 * np.abs(column).max() and -column.min() > 0.3 * column.max()
    flipped = head.leadfield([left], [[0, 0, -3]])
    np.testing.assert_allclose(flipped[:, 0], -field[:, 0], rtol=1e-6)


def test_bad_dipoles(head):
    inside, outside = [0.0, 0.0, 0.03], [0.0, 0.0, 0.2]
    for positions in ([inside, outside], [outside]):
        with pytest.raises(ValueError, match=r"1 of \d dipoles are outside the inner skull"):
            head.leadfield(positions, [[1, 0, 0]] * len(positions))
    with pytest.raises(ValueError, match="zero vectors"):
        head.leadfield([[0.0, 0.0, 0.0]], [[0, 0, 0]])


@pytest.mark.parametrize(
    "parameters", [{"sensors": "999m"}, {"n_channels": 0}, {"n_channels": 1000}]
)
def test_bad_head(parameters):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        make_head(**parameters)


def test_words_in_a_head(head):
    data = make_words("N", n_subjects=3, n_trials=4, head=head)
    assert data.y.shape == (12, 60, 101)
    again = make_words("N", n_subjects=3, n_trials=4, head=head)
    assert again.y.tobytes() == data.y.tobytes()
    assert data.info["sfreq"] == 40 and head.info["sfreq"] != 40
    correlation = np.corrcoef(data.mixing.reshape(3, -1))[np.triu_indices(3, 1)]
    assert 0.5 < correlation.min() and correlation.max() < 0.99
    evoked = words_to_epochs(data).average()
    figure, axes = plt.subplots()
    mne.viz.plot_topomap(evoked.data[:, 40], evoked.info, axes=axes, show=False)
    assert axes.images
    plt.close(figure)


def test_nothing_is_imported_or_downloaded_early():
    code = (
        "import sys, sklearn_meg.datasets as d; d.make_head; d.load_mne_sample_epochs; "
        "d.make_words(n_subjects=1, n_trials=2); print({'mne', 'torch'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


def test_public_names():
    for name in datasets.__all__:
        assert callable(getattr(datasets, name))
    with pytest.raises(AttributeError, match="nothing"):
        _ = datasets.nothing


@pytest.mark.parametrize(
    "loader, name", [("load_mne_sample_epochs", "sample"), ("load_multimodal_epochs", "multimodal")]
)
def test_refused_download(monkeypatch, loader, name):
    def refuse(**kwargs):
        raise OSError("no network")

    monkeypatch.setattr(getattr(mne.datasets, name), "data_path", refuse)
    with pytest.raises(RuntimeError, match=f"{name}.*no network"):
        getattr(_real, loader)()


def test_sample_loader(monkeypatch, tmp_path):
    folder = tmp_path / "MEG" / "sample"
    folder.mkdir(parents=True)
    info = mne.create_info(["MEG 0111", "EEG 001"], 100.0, ["mag", "eeg"])
    data = 1e-12 * np.random.default_rng(0).normal(size=(2, 2000))
    raw = mne.io.RawArray(data, info, verbose="error")
    raw.save(folder / "sample_audvis_filt-0-40_raw.fif", verbose="error")
    events = np.array([[300, 0, 1], [700, 0, 4], [1100, 0, 2], [1500, 0, 32]])
    mne.write_events(folder / "sample_audvis_filt-0-40_raw-eve.fif", events, verbose="error")
    monkeypatch.setattr(mne.datasets.sample, "data_path", lambda **kwargs: tmp_path)
    epochs = datasets.load_mne_sample_epochs(sfreq=50.0)
    assert epochs.ch_names == ["MEG 0111"] and epochs.info["sfreq"] == 50
    expected = ["auditory/left", "visual/right", "auditory/right"]
    assert list(epochs.metadata["condition"]) == expected
    assert list(epochs.metadata["auditory"]) == [1, 0, 1]
    assert list(epochs.metadata["left"]) == [1, 0, 0]
