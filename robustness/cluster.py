"""One study alone, on two processes, in two threads, and on two dask workers.

Each runs in a fresh process with one thread of torch and BLAS, by ``python -m`` of this module; the
memory is the largest sum over it and its children, pages that they share counted once (PSS).
"""

import json
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path

import joblib
import numpy as np
from sklearn.model_selection import KFold

from benchmarks.report import check, row, values
from sklearn_meg._optional import needs

CASES = ("cluster",)
BACKENDS = ("serial", "loky", "threading", "dask")
FOLDS = 20
LEAST_S = 5.0  # of a fit
EVERY_S = 2.0  # memory is looked at; reading it stops a process for a moment
# By default workers give every freed array back to the system at once, and fits take twice as long.
KEEP_MEMORY = {
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 2**28,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 2**25,
}
FASTER, LARGER = 1.6, 2.5


def data(quick):
    """Trials whose fit takes some seconds on one core (a tenth when quick)."""
    rng = np.random.default_rng(0)
    n, n_times = (40, 30) if quick else (400, 400)
    X, y = rng.normal(size=(n, 4, n_times)), rng.normal(size=(n, 60, n_times))
    return X.astype(np.float32), y.astype(np.float32)


def study(quick, seed):
    """The study: a deep encoder in 20 folds (4 when quick)."""
    from sklearn_meg import DeepRecurrentEncoder, Study

    model = DeepRecurrentEncoder(
        max_epochs=2 if quick else 10, batch_size=64, random_state=seed, hidden_size=64
    )
    return Study({"deep": model}, cv=KFold(4 if quick else FOLDS))


@contextmanager
def cluster():
    """Two dask workers of one thread."""
    with needs("The case 'cluster'", "dask", "sklearn-meg[dask]"):
        import dask
        from distributed import Client, LocalCluster

    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        dask.config.set(KEEP_MEMORY),
        LocalCluster(host="127.0.0.1", **options) as workers,
        Client(workers),
    ):
        yield


def run(backend, quick, seed, out):
    """Run the study; write wall time, scores and seconds of the fits."""
    X, y = data(quick)
    plan = study(quick, seed)
    plan.n_jobs = 1 if backend == "serial" else 2
    with cluster() if backend == "dask" else nullcontext():
        context = nullcontext() if backend == "serial" else joblib.parallel_config(backend)
        with context:
            begun = time.monotonic()
            plan.run(X, y)
            wall = time.monotonic() - begun
    scores = plan.table_[["r", "r_time", "r2"]].to_numpy(float)
    result = {
        "wall_s": wall,
        "fit_s": float(plan.table_["fit_s"].median()),
        "scores": scores.tolist(),
        "maps": [m.tolist() for m in plan.maps_.values()],
    }
    Path(out).write_text(json.dumps(result))


def measured(backend, quick, seed):
    """Result of a run in a fresh process, and its peak memory in MB."""
    import psutil

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "result.json"
        command = [sys.executable, "-m", __name__, backend, str(int(quick)), str(seed), str(out)]
        process = subprocess.Popen(command)
        peak, root = 0, psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, _memory(root))
            time.sleep(EVERY_S)
        if process.returncode:
            raise RuntimeError(f"The study on {backend} ended with {process.returncode}.")
        return {**json.loads(out.read_text()), "peak_mb": peak / 2**20}


def _memory(root):
    import psutil

    total = 0
    try:
        family = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0
    for process in family:
        try:
            info = process.memory_full_info()
        except psutil.Error:  # it has just ended
            continue
        total += getattr(info, "pss", info.rss)
    return total


def case_rows(case, seed, quick=False):
    """Wall time, memory, and whether the results are those of the serial run."""
    rows, serial = [], None
    for backend in ("serial", "dask") if quick else BACKENDS:
        found = measured(backend, quick, seed)
        serial = serial or found
        same = found["scores"] == serial["scores"] and found["maps"] == serial["maps"]
        rows += [row(case, backend, m, seed, found[m]) for m in ("wall_s", "fit_s", "peak_mb")]
        rows.append(row(case, backend, "differs", seed, not same))
    return rows


def checks(rows):
    """Equal everywhere; faster on two workers, and not much larger."""
    serial = values(rows, CASES[0], "serial", "wall_s")
    if not len(serial):
        return []
    memory = values(rows, CASES[0], "dask", "peak_mb") / values(rows, CASES[0], "serial", "peak_mb")
    differs = sum(values(rows, CASES[0], backend, "differs").sum() for backend in BACKENDS)
    fit_s = values(rows, CASES[0], "serial", "fit_s").min()
    speed = (serial / values(rows, CASES[0], "dask", "wall_s")).min()
    return [
        check("cluster: results that differ", differs, "<= 0"),
        check("cluster: seconds of a fit", fit_s, f">= {LEAST_S}"),
        check("cluster: throughput of two dask workers / serial", speed, f">= {FASTER}"),
        check("cluster: memory of two dask workers / serial", memory.max(), f"<= {LARGER}"),
    ]


if __name__ == "__main__":
    run(sys.argv[1], bool(int(sys.argv[2])), int(sys.argv[3]), sys.argv[4])
