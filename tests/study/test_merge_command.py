import mne
import numpy as np
import pandas as pd
import pytest

from sklearn_meg.cli import main


def save(path, seed):
    """Epochs whose channels answer to the length of a word."""
    rng = np.random.default_rng(seed)
    length = rng.normal(size=18)
    y = 1e-6 * rng.normal(size=(18, 3, 40))
    y[:, :, 15:25] += 2e-6 * length[:, np.newaxis, np.newaxis]
    info = mne.create_info(3, 40.0, "eeg")
    events = np.c_[100 * np.arange(18), np.zeros(18, int), np.ones(18, int)]
    table = pd.DataFrame({"length": length})
    mne.EpochsArray(y, info, events, -0.25, metadata=table, verbose="error").save(path)
    return str(path)


@pytest.fixture(scope="module")
def labs(tmp_path_factory):
    folders = []
    for lab in (0, 1):
        folder = tmp_path_factory.mktemp(f"lab {lab}")
        files = [save(folder / f"sub-{k:02d}-epo.fif", k) for k in range(2 * lab, 2 + lab)]
        arguments = ["--features", "length", "--models", "trf", "--cv", "3", "--quiet"]
        arguments += ["--each-subject", "--n-permutations", "4", "--out", str(folder)]
        assert main(["study", "--epochs", *files, *arguments]) == 0
        folders.append(folder)
    return folders


def test_two_labs_are_one_study(labs, tmp_path, capsys):
    out = tmp_path / "both"
    assert main(["merge", *map(str, labs), "--out", str(out)]) == 0
    assert "of 3 subjects" in capsys.readouterr().out
    whole = pd.read_csv(out / "table.csv")
    parts = pd.concat([pd.read_csv(folder / "table.csv") for folder in labs])
    by = ["subject", "model", "fold"]
    scores = [table.sort_values(by)[[*by, "r"]].to_numpy() for table in (whole, parts)]
    np.testing.assert_array_equal(*scores)
    assert "sub-02" in (out / "report.html").read_text("utf-8")
    assert len(pd.read_csv(out / "trials.csv")) == 3
    assert main(["merge", str(out), str(labs[0]), "--out", str(tmp_path / "c")]) == 2
    assert "Each subject counts once" in capsys.readouterr().err


def test_what_cannot_be_merged_is_named(labs, tmp_path, capsys):
    out = ["--out", str(tmp_path / "both")]
    assert main(["merge", str(labs[0]), str(tmp_path / "nowhere"), *out]) == 2
    assert "nowhere" in capsys.readouterr().err
    assert main(["merge", str(labs[0]), *out]) == 2
    assert "two or more" in capsys.readouterr().err
    torn = tmp_path / "study.npz"
    torn.write_bytes((labs[1] / "study.npz").read_bytes()[:5000])
    assert main(["merge", str(labs[0]), str(torn), *out]) == 2
    assert "damaged" in capsys.readouterr().err
    np.savez(torn, x=np.arange(3))
    assert main(["merge", str(labs[0]), str(torn), *out]) == 2
    assert "study.npz is no study" in capsys.readouterr().err
    torn.write_text("no arrays")
    assert main(["merge", str(labs[0]), str(torn), *out]) == 2
    error = capsys.readouterr().err
    assert "no arrays" in error and "pickle" not in error  # which NumPy advises
