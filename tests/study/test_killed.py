"""Each command is killed while it works, and the same line goes on with what was finished."""

import os
import signal
import subprocess
import sys
import time

import mne
import numpy as np
import pandas as pd
import pytest

import sklearn_meg
from sklearn_meg.cli import main
from sklearn_meg.datasets import make_evoked, make_nerve, make_recordings, make_states
from sklearn_meg.tms import SphereField, figure8_coil

ROOT = os.path.dirname(os.path.dirname(sklearn_meg.__file__))


def study(folder):
    made = make_recordings(folder, n_trials=12, n_meg=4, n_eeg=0, sfreq=100.0)
    options = ["--features", "length", "--missing", "drop", "--cv-by", "block", "--cv", "2"]
    return ["--epochs", *made.files[:2], "--models", "trf", "--n-permutations", "2", *options]


def decode(folder):
    data = make_nerve((0,), n_train=4, n_test=2, n_channels=4, sfreq=1000.0, duration=0.3)
    sessions = np.arange(len(data.y)) % 2
    np.savez(folder / "x.npz", X=data.X, y=data.y, sessions=sessions, sfreq=1000.0)
    return ["--trials", folder / "x.npz", "--models", "lda", "--cv-by", "session"]


def localize(folder):
    data = make_evoked("1dip", snr_db=10.0, n_epochs=20, spacing=25.0, random_state=0)
    evoked = mne.EvokedArray(data.y[0], data.info, data.times[0], nave=20, comment="tone")
    evoked.save(folder / "a-ave.fif", verbose="error")
    mne.write_forward_solution(folder / "a-fwd.fif", data.forward, verbose="error")
    data.noise_cov.save(folder / "a-cov.fif", verbose="error")
    files = ["--evoked", folder / "a-ave.fif", "--forward", folder / "a-fwd.fif"]
    return [*files, "--noise-cov", folder / "a-cov.fif", "--models", "dspm"]


def thresholds(folder):
    field = SphereField(figure8_coil().at([0, 0, 0.0925], [0, 0, -1]))
    side = np.arange(-0.02, 0.021, 0.005)
    grid = np.stack(np.meshgrid(side, side, np.arange(0.05, 0.079, 0.005)), -1).reshape(-1, 3)
    columns = ["x", "y", "z", "Ex", "Ey", "Ez"]
    pd.DataFrame(np.c_[grid, field(grid)], columns=columns).to_csv(folder / "f.csv", index=False)
    cells = pd.DataFrame({"x": [0, 0.004, 0, 0.004], "y": [0, 0, 0.004, 0.004], "z": 0.0655})
    cells.assign(ax=0.0, ay=1.0, az=0.3).to_csv(folder / "c.csv", index=False)
    files = ["--field", folder / "f.csv", "--cells", folder / "c.csv"]
    return [*files, "--n-training", "60", "--max-epochs", "2"]


def states(folder):
    data = make_states("easy", n_subjects=2, n_times=150, n_regions=6, n_states=2, random_state=0)
    np.savez(folder / "x.npz", X=np.stack(data.X))
    return ["--recordings", folder / "x.npz", "--n-states", "2,3", "--n-init", "1"]


def tracts(folder):
    nib = pytest.importorskip("nibabel")
    way = np.zeros((6, 12, 6, 3), dtype=np.float32)
    way[..., 1] = 1.0
    nib.save(nib.Nifti1Image(way, 2 * np.eye(4)), folder / "peaks.nii.gz")
    return ["--directions", folder / "peaks.nii.gz", "--length", "12", "--n", "10"]


COMMANDS = (study, decode, localize, thresholds, states, tracts)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
@pytest.mark.filterwarnings(r"ignore:.*\[unusual-samples\]")  # a grid of one cell
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_a_killed_command_goes_on(tmp_path, command):
    out = tmp_path / "out"
    arguments = [command.__name__, *map(str, command(tmp_path)), "--quiet", "--out", str(out)]
    code = "import sys; from sklearn_meg.cli import main; sys.exit(main(sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], env={**os.environ, "PYTHONPATH": ROOT}
    )
    deadline = time.monotonic() + 60
    while not kept(out) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = kept(out)
    assert before
    (out / "report.html").unlink(missing_ok=True)  # where the kill came too late
    assert main(arguments) == 0
    assert (out / "report.html").exists()
    after = kept(out)
    assert {path: after[path] for path in before} == before  # read, not computed again


def kept(out):
    """Finished results and when they were written."""
    paths = [p for end in ("safetensors", "npz") for p in (out / "store").glob(f"*.{end}")]
    return {path: path.stat().st_mtime_ns for path in paths if not path.name.startswith(".")}
