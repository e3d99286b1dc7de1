"""A large study on disk: 20 subjects x 1000 trials x 270 channels at 120 Hz, one fit, one thread.

Everything is memory-mapped. Making the files and fitting run in processes of their own, so that
the memory measured is that of the fit.
"""

import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from sklearn_meg import DeepRecurrentEncoder, pack_rows
from sklearn_meg.datasets import make_words
from sklearn_meg.metrics import r_across_trials

from ..report import check, row, values

CASE = "scale_20x1000x270"
FULL = {"n_subjects": 20, "n_trials": 1000, "n_channels": 270}
TINY = {"n_subjects": 2, "n_trials": 10, "n_channels": 4}
N_HIDDEN = 12  # channels of the world, mixed into those of the study
N_TEST = 10  # the last tenth of the trials is left out


def scale_rows(seed=0, quick=False):
    """Time and memory of one fit, to nine tenths of the trials, and what it predicts of others.

    quick: A few trials, in this process.
    Returns rows (list of dict): ``fit_min``, ``peak_gb`` (memory that is not file pages), and ``r``
        after the initial window, over trials of all subjects together, of the deep encoder
        (``default``) and of its linear base (``base``).
    """
    with tempfile.TemporaryDirectory() as folder:
        if quick:
            make(folder, seed, TINY)
            found = fit(folder, seed, quick)
        else:
            found = _in_processes(folder, seed)
    return [row(CASE, model, metric, seed, value) for (model, metric, value) in found]


def _in_processes(folder, seed):
    """The same in processes of their own, so that peak memory is that of the fit."""
    for step in ("make", "fit"):
        command = [sys.executable, "-m", __name__, step, folder, str(seed)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def checks(rows):
    """Bounds on time and memory, and the deep encoder beside its base."""
    ours = {m: values(rows, CASE, "default", m) for m in ("fit_min", "peak_gb", "r")}
    if not len(ours["r"]):
        return []
    base = values(rows, CASE, "base", "r").mean()
    return [
        check(f"{CASE}: minutes of a fit", ours["fit_min"].mean(), "<= 40"),
        check(f"{CASE}: peak memory (GB)", ours["peak_gb"].max(), "<= 6"),
        check(f"{CASE}: default / base (r)", ours["r"].mean() / base, "> 1"),
    ]


def make(folder, seed, size):
    """Write X and y, trials of the subjects in turn."""
    n_channels = size["n_channels"]
    hidden = make_words(
        "N",
        random_state=seed,
        sfreq=120.0,
        n_channels=N_HIDDEN,
        dtype=np.float32,
        **{name: size[name] for name in ("n_subjects", "n_trials")},
    )
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(n_channels, N_HIDDEN)).astype(np.float32) / N_HIDDEN**0.5
    order = np.arange(len(hidden.y)).reshape(size["n_subjects"], -1).T.ravel()
    shape = (len(order), n_channels, hidden.y.shape[2])
    y = np.lib.format.open_memmap(Path(folder, "y.npy"), "w+", np.float32, shape)
    for first in range(0, len(order), 200):
        trials = order[first : first + 200]
        block = mixing @ hidden.y[trials]
        block += 0.5 * rng.standard_normal(block.shape, dtype=np.float32)
        y[first : first + 200] = block
    y.flush()
    _, rows = pack_rows(
        hidden.features[order],
        subjects=hidden.subjects[order],
        initial=y,
        n_initial=hidden.rows["n_initial"],
        out=Path(folder, "X.npy"),
    )
    initial = rows["initial_rows"]
    rows["initial_rows"] = list(range(initial.start, initial.stop))  # JSON has no slices
    Path(folder, "rows.json").write_text(json.dumps(rows))


def fit(folder, seed, quick):
    """Fit once; return (model, metric, value)."""
    X, y = (np.load(Path(folder, f"{name}.npy"), mmap_mode="r") for name in "Xy")
    rows = json.loads(Path(folder, "rows.json").read_text())
    n_train = len(X) - len(X) // N_TEST
    model = DeepRecurrentEncoder(**rows, max_epochs=2 if quick else "auto", random_state=seed)
    begun = time.perf_counter()
    with PeakMemory() as memory:
        model.fit(X[:n_train], y[:n_train])
    minutes = (time.perf_counter() - begun) / 60
    found = [("default", "fit_min", minutes), ("default", "peak_gb", memory.peak_gb)]
    test = slice(n_train, n_train + 1000)
    for name, predictor in (("default", model), ("base", model.base_)):
        r = r_across_trials(y[test], predictor.predict(X[test]), start=rows["n_initial"])
        found.append((name, "r", r))
    return found


class PeakMemory:
    """The largest anonymous memory of this process while it is watched (Linux; else all)."""

    peak_gb = 0.0

    def __enter__(self):
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._done.set()
        self._thread.join()

    def _watch(self):
        while not self._done.wait(0.1):
            self.peak_gb = max(self.peak_gb, _anonymous_bytes() / 1e9)


def _anonymous_bytes():
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    return 1024 * int(found["RssAnon"].split()[0])


def _main(step, folder, seed):
    if step == "make":
        make(folder, int(seed), FULL)
    else:
        print(json.dumps(fit(folder, int(seed), False)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
