"""A study of 200 subjects on two dask workers, one of which is killed every 20 seconds.

Every subject is a file; results go to one folder. The table must be that of undisturbed work, and
the memory of a worker must not depend on the number of subjects.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import joblib
import numpy as np

from benchmarks.report import check, row, values

from . import cluster

CASES = ("consortium",)
N_SUBJECTS, N_TRIALS, N_CHANNELS, N_TIMES = 200, 20, 20, 100
QUICK_SUBJECTS = 12
KILL_EVERY_S, LOOK_EVERY_S = 20.0, 0.5
STARTED_S = 8.0  # dask gives workers up that die while they start
MORE_MEMORY = 1.15
SCORES = ["r", "r_time", "r2"]


def write_subjects(folder, n, seed):
    """Files of simulated subjects: two features that drive all channels, and noise."""
    for number in range(n):
        rng = np.random.default_rng([seed, number])
        X = rng.normal(size=(N_TRIALS, 2, N_TIMES))
        y = np.einsum("nft,fc->nct", np.roll(X, 3, axis=2), rng.normal(size=(2, N_CHANNELS)))
        y += 3 * rng.normal(size=y.shape)
        arrays = {"X": X.astype(np.float32), "y": y.astype(np.float32)}
        np.savez(Path(folder) / f"sub-{number:03d}.npz", **arrays)


def study(store):
    """A linear encoder and its floor, in three folds."""
    from sklearn_meg import Study, TemporalReceptiveField

    models = {"trf": TemporalReceptiveField(tmax=10)}
    return Study(models, cv=3, n_permutations=4, cache_dir=store, n_jobs=2)


class Watch(threading.Thread):
    """Looks at the memory of workers, and kills one from time to time."""

    def __init__(self, kill_every):
        super().__init__(daemon=True)
        self.kill_every = kill_every
        self.peak_mb, self.n_kills, self.over = 0.0, 0, threading.Event()

    def run(self):
        """Until the study is over."""
        import psutil

        begun = time.monotonic()
        while not self.over.wait(LOOK_EVERY_S):
            pids = []
            for child in psutil.Process().children(recursive=True):
                try:
                    if any("spawn_main" in word for word in child.cmdline()):
                        pids += [child.pid] if time.time() - child.create_time() > STARTED_S else []
                        self.peak_mb = max(self.peak_mb, child.memory_info().rss / 2**20)
                except psutil.Error:  # it has just ended
                    continue
            due = self.kill_every and (time.monotonic() - begun) / self.kill_every
            if pids and due and due >= 1:
                os.kill(pids[self.n_kills % len(pids)], signal.SIGKILL)
                self.n_kills, begun = self.n_kills + 1, time.monotonic()


def run(folder, store, kill_every, out):
    """Study the subjects of a folder; write table, time, kills and memory."""
    import dask

    with cluster.cluster(), dask.config.set({"distributed.scheduler.allowed-failures": 1000}):
        watch = Watch(kill_every)
        watch.start()
        begun = time.monotonic()
        with joblib.parallel_config("dask"):
            found = study(store).run_subjects(folder)
        wall = time.monotonic() - begun
        watch.over.set()
        watch.join()
    table = found.table_.sort_values(["subject", "model", "fold"])
    result = {
        "scores": table[SCORES].to_numpy(float).tolist(),
        "wall_s": wall,
        "n_kills": watch.n_kills,
        "worker_mb": watch.peak_mb,
    }
    Path(out).write_text(json.dumps(result))


def measured(folder, kill_every):
    """Result of a run in a fresh process, with a store of its own."""
    with tempfile.TemporaryDirectory() as own:
        out = Path(own) / "result.json"
        command = [sys.executable, "-m", __name__, str(folder), f"{own}/store", str(kill_every)]
        subprocess.run([*command, str(out)], check=True)
        return json.loads(out.read_text())


def case_rows(case, seed, quick=False):
    """Undisturbed, disturbed, and a quarter of the subjects."""
    n = QUICK_SUBJECTS if quick else N_SUBJECTS
    rows = []
    with tempfile.TemporaryDirectory() as few, tempfile.TemporaryDirectory() as all_:
        write_subjects(few, n // 4, seed)
        write_subjects(all_, n, seed)
        runs = {
            "quarter": measured(few, 0),
            "undisturbed": measured(all_, 0),
            "disturbed": measured(all_, KILL_EVERY_S / 2 if quick else KILL_EVERY_S),
        }
    for name, found in runs.items():
        rows += [row(case, name, metric, seed, found[metric]) for metric in ("wall_s", "worker_mb")]
    expected, got = (np.array(runs[name]["scores"]) for name in ("undisturbed", "disturbed"))
    lost = len(expected) if expected.shape != got.shape else (expected != got).any(axis=1).sum()
    rows.append(row(case, "disturbed", "tried", seed, runs["disturbed"]["n_kills"]))
    rows.append(row(case, "disturbed", "lost", seed, int(lost)))
    return rows


def checks(rows):
    """The same table, and workers that do not grow."""
    lost = values(rows, CASES[0], "disturbed", "lost")
    if not len(lost):
        return []
    few, many = (values(rows, CASES[0], name, "worker_mb") for name in ("quarter", "undisturbed"))
    return [
        check("consortium: rows of the table that differ", lost.sum(), "<= 0"),
        check(
            "consortium: memory of a worker, all subjects / a quarter",
            (many / few).max(),
            f"<= {MORE_MEMORY}",
        ),
    ]


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4])
