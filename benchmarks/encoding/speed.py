"""Speed and memory of TemporalReceptiveField beside mne.decoding.ReceptiveField.

Every measurement runs in a fresh process with one BLAS thread, so that no fit warms another up.
Memory is the peak of what Python and numpy allocate during the fit, the data not counted.
"""

import json
import os
import subprocess
import sys
import time
import tracemalloc
from functools import partial

from ..report import check, values

N_TRIALS, N_TIMES, N_FEATURES, N_LAGS = 300, 101, 5, 40
ALPHAS = (0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8)
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
MODELS = ("trf", "mne", "mne_ridge", "trf_auto")


def speed_rows(seed=0, quick=False):
    """Measure fits of the same model on the same data.

    ``1alpha``: one fit. ``10alphas``: alpha chosen for each channel among ten; with mne, a loop
    of ten fits on the first 80 % of the trials, scored on the rest, and the final fit of each
    alpha that was chosen. ``mne`` is ReceptiveField as it is (a float as estimator:
    TimeDelayingRidge), ``mne_ridge`` with scikit-learn's Ridge. ``trf`` is least squares, as these
    are; ``trf_auto``, our default, also tries generalized least squares where alpha is chosen.

    quick: Only one alpha and 12 channels, without ``mne_ridge``.
    Returns rows (list of dict): ``{"case": "speed_12ch_1alpha", "model": "trf", "metric": "fit_s",
        "seed": 0, "value": 0.02}``; metrics ``fit_s`` and ``peak_mb``.
    """
    rows = []
    for n_channels in (12,) if quick else (12, 270):
        for n_alphas in (1,) if quick else (1, 10):
            case = f"speed_{n_channels}ch_{n_alphas}alpha{'s' if n_alphas > 1 else ''}"
            for model in MODELS[:2] if quick else MODELS:
                found = _measure_in_process(model, n_channels, n_alphas, seed)
                rows += [
                    {"case": case, "model": model, "metric": metric, "seed": seed, "value": value}
                    for metric, value in found.items()
                ]
    return rows


def _measure_in_process(model, n_channels, n_alphas, seed):
    arguments = [model, str(n_channels), str(n_alphas), str(seed)]
    done = subprocess.run(
        [sys.executable, "-m", __spec__.name, *arguments],
        env={**os.environ, **dict.fromkeys(THREADS, "1")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _make_data(n_channels, n_trials, seed):
    """Make noise driven by lagged noise, in the layout of MNE's ReceptiveField."""
    import numpy as np

    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N_TIMES, n_trials, N_FEATURES))
    y = rng.normal(size=(N_TIMES, n_trials, n_channels))
    y[5:] += X[:-5] @ rng.normal(size=(N_FEATURES, n_channels))
    return X, y


def _fit_trf(X, y, alphas, noise="white"):
    from sklearn_meg import TemporalReceptiveField

    model = TemporalReceptiveField(tmin=0, tmax=N_LAGS - 1, alphas=alphas, noise=noise)
    return model.fit(X, y).coef_


def _fit_mne(X, y, alphas, ridge=False):
    import numpy as np
    from mne.decoding import ReceptiveField
    from sklearn.linear_model import Ridge

    def fit(alpha, X, y):
        estimator = Ridge(alpha) if ridge else alpha
        return ReceptiveField(0, N_LAGS - 1, 1.0, estimator=estimator).fit(X, y)

    if np.ndim(alphas) == 0:
        return fit(alphas, X, y).coef_
    n_train = int(0.8 * X.shape[1])
    scores = []
    for alpha in alphas:
        model = fit(alpha, X[:, :n_train], y[:, :n_train])
        true = y[:, n_train:]
        residual = true - model.predict(X[:, n_train:])
        scores.append(-(residual**2).sum(axis=(0, 1)))
    best, coef = np.argmax(scores, axis=0), None
    for i in np.unique(best):
        found = fit(alphas[i], X, y[:, :, best == i]).coef_
        coef = np.empty((len(best), *found.shape[1:])) if coef is None else coef
        coef[best == i] = found
    return coef


def _measure(model, n_channels, n_alphas, seed):
    """Fit once on little data (imports, BLAS start), then measure."""
    import mne
    import numpy as np
    from threadpoolctl import threadpool_limits

    mne.set_log_level("error")
    alphas = 10.0 if n_alphas == 1 else ALPHAS
    X, y = _make_data(n_channels, N_TRIALS, seed)
    ours = model.startswith("trf")
    if ours:
        X, y = (np.ascontiguousarray(data.transpose(1, 2, 0)) for data in (X, y))
        few = X[:4], y[:4, :2]
        run = partial(_fit_trf, noise="auto" if model == "trf_auto" else "white")
    else:
        few = X[:, :4], y[:, :4, :2]

        def run(X, y, alphas):
            return _fit_mne(X, y, alphas, ridge=model == "mne_ridge")

    with threadpool_limits(1):
        run(*few, alphas)
        start = time.perf_counter()
        run(X, y, alphas)
        seconds = time.perf_counter() - start
        # Tracing is slow and mne's loop frees each fit: two alphas show its peak as well as ten
        few_alphas = ALPHAS[:2] if n_alphas > 1 and not ours else alphas
        tracemalloc.start()
        run(X, y, few_alphas)
        peak = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
    return {"fit_s": seconds, "peak_mb": peak}


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], *map(int, sys.argv[2:]))))


def checks(rows):
    """Compare the TRF with mne's: time of a fit and peak memory."""
    result = []
    for case in dict.fromkeys(r["case"] for r in rows if r["model"] == "mne"):
        (ours_s, theirs_s), (ours_mb, theirs_mb) = (
            [values(rows, case, model, metric).mean() for model in ("trf", "mne")]
            for metric in ("fit_s", "peak_mb")
        )
        bound = ">= 10" if case.endswith("10alphas") else ">= 3"
        result.append(check(f"{case}: times faster than mne", theirs_s / ours_s, bound))
        result.append(check(f"{case}: peak memory / mne", ours_mb / theirs_mb, "<= 1"))
    return result
