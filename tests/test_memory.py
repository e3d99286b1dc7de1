"""Training from a file that is larger than the memory it may take."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from sklearn_meg import DeepRecurrentEncoder, Study, TemporalReceptiveField, pack_rows
from sklearn_meg.study import mapped

pytest.importorskip("resource")  # not on Windows

CODE = """
import resource, sys
import numpy as np
from sklearn_meg import DeepRecurrentEncoder

def peak():  # in MiB; the unit of the system differs
    unit = 1024 if sys.platform == "linux" else 1024**2
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit

X, y = (np.load(f"{sys.argv[1]}/{name}.npy", mmap_mode="r") for name in "Xy")
model = DeepRecurrentEncoder(
    base="trf", base_params={"tmax": 2, "alphas": 1.0}, max_epochs=1, hidden_size=4, batch_size=64,
    validation_fraction=0.1,
)
model.fit(np.array(X[:200]), np.array(y[:200]))
before = peak()
model.fit(X, y)
print(peak() - before)
"""


def test_a_mapped_recording_is_never_read_as_a_whole(tmp_path):
    n_trials, n_channels, n_times = 1000, 64, 256
    y = np.lib.format.open_memmap(
        tmp_path / "y.npy", "w+", np.float32, (n_trials, n_channels, n_times)
    )
    rng = np.random.default_rng(0)
    block = rng.normal(size=(500, n_channels, n_times)).astype(np.float32)
    for start in range(0, n_trials, 500):
        y[start : start + 500] = block
    y.flush()
    np.save(tmp_path / "X.npy", rng.normal(size=(n_trials, 1, n_times)).astype(np.float32))
    done = subprocess.run(
        [sys.executable, "-c", CODE, tmp_path], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 0.75 * y.nbytes / 2**20  # a copy would be more than all of it


def test_a_study_of_a_mapped_recording_takes_little(tmp_path, monkeypatch):
    monkeypatch.setattr(mapped, "IN_MEMORY_BYTES", 2**20)
    rng = np.random.default_rng(0)
    shape, subjects = (160, 32, 500), np.repeat([0, 1], 80)
    y = np.memmap(tmp_path / "y", np.float32, "w+", shape=shape)
    for trial in y:
        trial[:] = rng.normal(size=shape[1:])
    X, rows = pack_rows(rng.normal(size=(160, 1, 500)), subjects=subjects, initial=y, n_initial=50)
    model = TemporalReceptiveField(tmax=2, alphas=1.0, cv=2, **rows)
    np.save(tmp_path / "X.npy", X.astype(np.float32))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    study = Study({"trf": model}, cv=2, floors=None, n_permutations=2)
    tracemalloc.start()
    study.run(X, y, subjects=subjects)
    peak = tracemalloc.get_traced_memory()[1]
    print(peak / y.nbytes)
    tracemalloc.stop()
    assert peak < 5 * y.nbytes  # 2.5 times the data in double precision, as MNE has it


def test_a_batch_of_one_mapped_trial(tmp_path):
    rng = np.random.default_rng(0)
    X, y = (rng.normal(size=(33, n, 12)).astype(np.float32) for n in (1, 2))
    for name, array in {"X": X, "y": y}.items():
        np.save(tmp_path / f"{name}.npy", array)
    mapped_data = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in "Xy"]
    for n_trials in (32, 33):  # one of them leaves a single trial for the last batch
        model = DeepRecurrentEncoder(
            base=None, max_epochs=1, hidden_size=4, batch_size=2, random_state=0
        )
        fitted = model.fit(*(array[:n_trials] for array in mapped_data))
        assert np.isfinite(fitted.predict(X)).all()
