"""The commands of the other five systems, each on a small file as users have them."""

import argparse

import mne
import numpy as np
import pandas as pd
import pytest

import sklearn_meg
from sklearn_meg.cli import main
from sklearn_meg.commands.common import CommandError
from sklearn_meg.commands.localize import read_fields
from sklearn_meg.commands.states import _regions, add_parsers, read_recordings
from sklearn_meg.commands.steps import Steps
from sklearn_meg.datasets import make_evoked, make_nerve, make_states
from sklearn_meg.dynamics import HiddenMarkovGraph
from sklearn_meg.tms import SphereField, figure8_coil


def run(*arguments, out):
    return main([*map(str, arguments), "--quiet", "--out", str(out)])


def page_of(out):
    return (out / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def nerve(tmp_path):
    data = make_nerve((0,), n_train=4, n_test=2, n_channels=4, sfreq=1000.0, duration=0.3)
    path = tmp_path / "nerve.npz"
    np.savez(path, X=data.X, y=data.y, sessions=np.arange(len(data.y)) % 2, sfreq=1000.0)
    return path


def test_decode(nerve, tmp_path):
    out = tmp_path / "out"
    options = ["--models", "lda", "--cv-by", "session"]
    assert run("decode", "--trials", nerve, *options, out=out) == 0
    table = pd.read_csv(out / "table.csv").groupby("model")["accuracy"].mean()
    assert table["lda"] > table["chance"]
    page = page_of(out)
    assert "lda scores highest" in page
    assert "mean over 2 sessions" in page
    with np.load(nerve) as file:
        X, y = file["X"], file["y"]
    assert np.mean(sklearn_meg.load(out / "model.safetensors").predict(X) == y) > 0.5


def test_decode_says_what_is_missing(nerve, tmp_path, capsys):
    for options, message in (
        (["--keys", "X=emg"], "has no emg; it has X, y, sessions, sfreq"),
        (["--models", "svm"], "unknown model 'svm'; choose from decoder, lda"),
        (["--cv", "9"], "needs 9 sessions, there are 2"),
    ):
        assert run("decode", "--trials", nerve, *options, out=tmp_path / "out") == 2
        assert message in capsys.readouterr().err


def test_decode_names_the_option_that_helps(nerve, tmp_path, capsys):
    with np.load(nerve) as file:
        X, y = file["X"], file["y"]
    turned, renamed = tmp_path / "turned.npz", tmp_path / "renamed.npz"
    np.savez(turned, X=X.transpose(0, 2, 1), y=y, sfreq=1000.0)
    np.savez(renamed, emg=X, motion=y, sfreq=1000.0)
    for path, message in (
        (turned, "300 channels and 5 samples; add --transpose if it is the other way round"),
        (renamed, "it has emg, motion, sfreq. Say which is which, for example --keys X=emg y="),
    ):
        assert run("decode", "--trials", path, "--models", "lda", out=tmp_path / "out") == 2
        assert message in capsys.readouterr().err


def test_states_of_text_with_names(tmp_path, capsys):
    x = np.random.default_rng(0).normal(size=(60, 3))
    path, broken, out = tmp_path / "x.csv", tmp_path / "broken.csv", tmp_path / "out"
    pd.DataFrame(x, columns=["left", "right", "vertex"]).to_csv(path, index=False)
    options = ["--transpose", "--n-states", "1", "--n-init", "1"]
    assert run("states", "--recordings", path, *options, out=out) == 0
    assert len(pd.read_csv(out / "states.csv")) == 60
    parser = argparse.ArgumentParser()
    add_parsers(parser.add_subparsers())
    arguments = parser.parse_args(["states", "--recordings", str(path), "--transpose", "--as-is"])
    np.testing.assert_allclose(read_recordings(arguments)[0], x.T)
    assert _regions(arguments, 3) == ["left", "right", "vertex"]
    pd.DataFrame(x.astype(str)).replace(str(x[3, 1]), "bad").to_csv(broken, index=False)
    assert run("states", "--recordings", broken, *options, out=out) == 2
    error = capsys.readouterr().err
    assert "broken.csv" in error and "'bad'" in error and "must be numbers" in error


def test_states(tmp_path):
    data = make_states("easy", n_subjects=2, n_times=200, n_regions=8, n_states=2, random_state=0)
    paths = []
    for i, x in enumerate(data.X):
        paths.append(tmp_path / f"sub-{i}.npy")
        np.save(paths[-1], x)
    out = tmp_path / "out"
    options = ["--n-states", "2", "--n-init", "1", "--sfreq", "10"]
    assert run("states", "--recordings", *paths, *options, out=out) == 0
    states = pd.read_csv(out / "states.csv")
    assert states.groupby("recording").size().tolist() == [200] * 2
    assert "nats a sample" in page_of(out)
    kept = sorted(path.name for path in (out / "store").glob("*.safetensors"))
    assert run("states", "--recordings", *paths, *options, out=out) == 0
    assert sorted(path.name for path in (out / "store").glob("*.safetensors")) == kept


def test_states_says_what_is_wrong(tmp_path, capsys):
    np.save(tmp_path / "long.npy", np.random.default_rng(0).normal(size=(50, 4)))
    assert run("states", "--recordings", tmp_path / "long.npy", out=tmp_path / "out") == 2
    assert "--transpose if it is the other way round" in capsys.readouterr().err


# The model learned in folded cortex, the field has no folds: that is said.
@pytest.mark.filterwarnings("ignore:These fields are unlike those of fit")
def test_thresholds(tmp_path):
    field = SphereField(figure8_coil().at([0, 0, 0.0925], [0, 0, -1]))
    side = np.arange(-0.02, 0.021, 0.004)
    grid = np.stack(np.meshgrid(side, side, np.arange(0.05, 0.079, 0.004)), -1).reshape(-1, 3)
    columns = ["x", "y", "z", "Ex", "Ey", "Ez"]
    pd.DataFrame(np.c_[grid, field(grid)], columns=columns).to_csv(tmp_path / "f.csv", index=False)
    cells = pd.DataFrame({"x": [0, 0.004, 0, 0.004], "y": [0, 0, 0.004, 0.004], "z": 0.0655})
    cells.assign(ax=0.0, ay=1.0, az=0.3).to_csv(tmp_path / "c.csv", index=False)
    files = ["--field", tmp_path / "f.csv", "--cells", tmp_path / "c.csv"]
    out = tmp_path / "out"
    assert run("thresholds", *files, "--n-training", 60, "--max-epochs", 2, out=out) == 0
    table = pd.read_csv(out / "thresholds.csv")
    assert (table["threshold"] > 0).all()
    assert "The first neuron fires at" in page_of(out)
    cells.to_csv(tmp_path / "c.csv", index=False)
    assert run("thresholds", *files, out=out) == 2


def test_tracts(tmp_path):
    nib = pytest.importorskip("nibabel")
    way = np.zeros((6, 12, 6, 3), dtype=np.float32)
    way[..., 1] = 1.0
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    nib.save(nib.Nifti1Image(way, affine), tmp_path / "peaks.nii.gz")
    out = tmp_path / "out"
    options = ["--length", 12, "--n", 10]
    assert run("tracts", "--directions", tmp_path / "peaks.nii.gz", *options, out=out) == 0
    lines = nib.streamlines.load(out / "geodesics.tck").streamlines
    for line in lines:
        assert np.ptp(line[:, 0]) < 0.5  # along y, as all directions are
    assert nib.load(out / "metric.nii.gz").shape == (6, 12, 6, 6)
    assert "geodesics" in page_of(out)


def test_localize(tmp_path):
    data = make_evoked("1dip", snr_db=10.0, n_epochs=20, spacing=25.0, random_state=0)
    info = data.info
    evoked = mne.EvokedArray(data.y[0], info, tmin=data.times[0], nave=20, comment="tone")
    evoked.save(tmp_path / "a-ave.fif", verbose="error")
    if not isinstance(data.forward, mne.Forward):
        pytest.skip("the simulated forward solution is no mne.Forward")
    mne.write_forward_solution(tmp_path / "a-fwd.fif", data.forward, verbose="error")
    data.noise_cov.save(tmp_path / "a-cov.fif", verbose="error")
    files = ["--evoked", tmp_path / "a-ave.fif", "--forward", tmp_path / "a-fwd.fif"]
    files += ["--noise-cov", tmp_path / "a-cov.fif"]
    out = tmp_path / "out"
    assert run("localize", *files, "--models", "dspm", out=out) == 0
    assert (out / "dspm-tone-vl.stc").exists()
    assert "tone: " in page_of(out)
    assert run("localize", *files, "--condition", "noise", out=out) == 2


def test_fields_are_averages_of_different_names(tmp_path):
    info = mne.create_info(3, 100.0, "eeg")
    data = np.random.default_rng(0).normal(size=(6, 3, 20)) * 1e-6
    epochs = mne.EpochsArray(data, info, tmin=-0.1, verbose="error")
    tone, error = epochs.average(), epochs.standard_error()
    tone.comment = error.comment = "tone"
    path = tmp_path / "a-ave.fif"

    def read(*evokeds):
        mne.write_evokeds(path, evokeds, overwrite=True, verbose="error")
        return read_fields(argparse.Namespace(epochs=None, evoked=str(path), condition=None))

    (found,) = read(tone, error)
    np.testing.assert_allclose(found.data.std(), tone.data.std(), rtol=0.1)
    with pytest.raises(CommandError, match="several averages of the comment 'tone'"):
        read(tone, tone.copy())
    with pytest.raises(CommandError, match="no average; if it holds epochs, use --epochs"):
        read(error)
    epochs.save(tmp_path / "a-epo.fif", verbose="error")
    namespace = argparse.Namespace(epochs=None, evoked=str(tmp_path / "a-epo.fif"), condition=None)
    with pytest.raises(CommandError, match="use --epochs"):
        read_fields(namespace)


def test_steps_are_found_again_and_damaged_ones_are_not(tmp_path):
    X = np.random.default_rng(0).normal(size=(1, 3, 60))
    model = HiddenMarkovGraph(n_states=2, n_init=1, random_state=0)
    for expected in (1, 0):
        with Steps(tmp_path, 1, quiet=True) as steps:
            fitted = steps.fit("states", HiddenMarkovGraph(n_states=2, n_init=1, random_state=0), X)
            assert steps.n_fits == expected
    (path,) = tmp_path.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-10])
    with Steps(tmp_path, 1, quiet=True) as steps:
        again = steps.fit("states", model, X)
        assert steps.n_fits == 1
    np.testing.assert_array_equal(again.transmat_, fitted.transmat_)
