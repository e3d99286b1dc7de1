"""The loader of the long-term EMG set, on a folder made here."""

import numpy as np
import pytest

from sklearn_meg import WindowClassifier
from sklearn_meg.datasets import load_long_term_emg


def write(folder, day, motion, trial, n_times=30, n_channels=8):
    signal = 100.0 * day + 10 * motion + trial + np.random.default_rng(0).random((n_times, 8))
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"D{day}M{motion}T{trial}.csv"
    np.savetxt(file, signal[:, :n_channels], delimiter=",", fmt="%.5g")
    return signal


@pytest.fixture
def folder(tmp_path):
    for subject in (1, 2):
        for day in (1, 2, 10):
            for motion in (1, 11):
                for trial in (1, 2):
                    write(tmp_path / "data" / f"sub{subject}" / f"day{day}", day, motion, trial)
    return tmp_path


def test_days_motions_and_trials_in_order(folder):
    emg = load_long_term_emg(folder)
    assert emg.X.shape == (12, 9, 30) and emg.X.dtype == np.float32 and emg.sfreq == 200.0
    np.testing.assert_array_equal(emg.session, np.repeat([1, 2, 10], 4))
    np.testing.assert_array_equal(emg.y, np.tile([1, 1, 11, 11], 3))
    np.testing.assert_array_equal(emg.trial, np.tile([1, 2], 6))
    np.testing.assert_array_equal(emg.X[:, -1, 0], emg.session)
    expected = write(folder / "other", 10, 11, 2)
    np.testing.assert_allclose(emg.X[-1, :-1], expected.T, rtol=1e-3)


def test_one_subject(folder):
    second = folder / "data" / "sub2" / "day1" / "D1M1T1.csv"
    np.savetxt(second, np.zeros((30, 8)), delimiter=",")
    assert (load_long_term_emg(folder, subject=2).X[0, :-1] == 0).all()
    assert (load_long_term_emg(folder, subject=1).X[0, :-1] > 0).all()
    assert (load_long_term_emg(folder / "data" / "sub2").X[0, :-1] == 0).all()


def test_a_compact_file_is_the_same(folder):
    emg = load_long_term_emg(folder)
    order = np.random.default_rng(0).permutation(12)
    np.savez(
        folder / "all.npz",
        emg=emg.X[order, :-1].transpose(0, 2, 1),
        day=emg.session[order], motion=emg.y[order], trial=emg.trial[order],
    )  # fmt: skip
    again = load_long_term_emg(folder / "all.npz")
    for name in ("X", "y", "session", "trial"):
        np.testing.assert_array_equal(getattr(again, name), getattr(emg, name))
    np.savez(folder / "part.npz", emg=emg.X)
    with pytest.raises(ValueError, match="must hold emg, day, motion, trial. Without 'day'"):
        load_long_term_emg(folder / "part.npz")


def test_what_is_wrong_with_a_folder(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"D1M1T1.csv and so on. Got"):
        load_long_term_emg(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="below a folder sub7"):
        load_long_term_emg(folder, subject=7)
    write(folder / "data" / "sub1" / "copy", 1, 1, 1)
    with pytest.raises(ValueError, match=r"A trial is there twice: .*D1M1T1.csv and .*D1M1T1.csv"):
        load_long_term_emg(folder)


def test_what_is_wrong_with_a_file(tmp_path):
    write(tmp_path, 1, 1, 1)
    write(tmp_path, 1, 1, 2, n_times=20)
    with pytest.raises(ValueError, match=r"equally long. Got \[20, 30\] samples"):
        load_long_term_emg(tmp_path)
    write(tmp_path, 1, 1, 2, n_channels=7)
    with pytest.raises(ValueError, match=r"D1M1T2.csv must have 8 columns.* Got 7"):
        load_long_term_emg(tmp_path)
    (tmp_path / "D1M1T2.csv").write_text("a,b\n")
    with pytest.raises(ValueError, match=r"D1M1T2.csv must hold numbers with commas between"):
        load_long_term_emg(tmp_path)


def test_a_download_that_fails_says_what_to_do(monkeypatch, tmp_path):
    import pooch

    def retrieve(url, *args, **kwargs):
        assert url.startswith("https://") and str(kwargs["path"]).startswith(str(tmp_path))
        raise OSError("no network")

    monkeypatch.setenv("SKLEARN_MEG_CACHE", str(tmp_path))
    monkeypatch.setattr(pooch, "retrieve", retrieve)
    with pytest.raises(RuntimeError, match=r"OSError: no network.* give a folder .* as path"):
        load_long_term_emg()


def test_a_download_is_read(monkeypatch, tmp_path):
    import pooch

    def retrieve(url, path, **kwargs):
        write(path / "files" / "set" / "data" / "sub1" / "day1", 1, 2, 3)

    monkeypatch.setenv("SKLEARN_MEG_CACHE", str(tmp_path))
    monkeypatch.setattr(pooch, "retrieve", retrieve)
    emg = load_long_term_emg()
    assert (emg.session[0], emg.y[0], emg.trial[0]) == (1, 2, 3)


def test_adaptation_on_real_muscles(real_data):
    emg = load_long_term_emg(real_data / "nerve" / "sub1_30days.npz")
    assert emg.X.shape == (2640, 9, 300)
    few = np.isin(emg.y, [1, 2, 3, 4, 5, 6])
    first, last = few & (emg.session == 1), few & (emg.session == 30)
    params = {"sfreq": emg.sfreq, "window": 0.25, "hop": 0.1, "session_row": -1}
    scores = {
        kind: WindowClassifier(adaptation=kind, **params)
        .fit(emg.X[first], emg.y[first])
        .score(emg.X[last], emg.y[last])
        for kind in (None, "batch")
    }
    assert scores["batch"] > max(0.5, scores[None])
