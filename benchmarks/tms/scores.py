"""Fitting and scoring models of thresholds."""

from time import process_time

import numpy as np

from ..report import row

PREDICTIONS = 3  # the fastest of these counts


def fit_and_score(case, name, seed, model, X, y, fit, test):
    """Rows of one model: scores on the test part, CPU time of fit and of one prediction.

    X (n, s, s, s, 3)
    y (n,): Thresholds in A/us, NaN where none was found.
    fit, test (slice)
    Returns rows (list of dict)
    """
    begun = process_time()
    model.fit(X[fit], y[fit])
    fit_s = process_time() - begun
    predicted, per_sample = timed_predict(model, X[test])
    return [
        *scores(case, name, seed, X[test], y[test], predicted),
        row(case, name, "fit_s", seed, fit_s),
        row(case, name, "predict_us", seed, 1e6 * per_sample),
    ]


def timed_predict(model, X, repeats=PREDICTIONS):
    """Prediction, and CPU seconds a sample of the fastest of some predictions."""
    times = []
    for _ in range(repeats):
        begun = process_time()
        predicted = model.predict(X)
        times.append(process_time() - begun)
    return predicted, min(times) / len(X)


def scores(case, name, seed, X, y, predicted):
    """Rows of MAPE, its 99th percentile and R2 in both definitions.

    ``r2`` (1 - SSE / SST) and ``r2_corr`` (squared correlation) are of thresholds in V/m at the
    center; those with ``_didt`` of thresholds in A/us. Relative errors are the same in both.
    """
    known = ~np.isnan(y)
    X, y, predicted = X[known], y[known], predicted[known]
    middle = X.shape[1] // 2
    field = np.linalg.norm(X[:, middle, middle, middle].astype(float), axis=-1)
    error = 100 * np.abs(predicted / y - 1)
    found = {"mape": error.mean(), "p99": np.quantile(error, 0.99)}
    for suffix, scale in (("", field), ("_didt", 1.0)):
        true, guess = y * scale, predicted * scale
        found[f"r2{suffix}"] = 1 - ((true - guess) ** 2).sum() / ((true - true.mean()) ** 2).sum()
        found[f"r2_corr{suffix}"] = np.corrcoef(true, guess)[0, 1] ** 2
    return [row(case, name, metric, seed, value) for metric, value in found.items()]


def trust_rows(case, seed, model, X, y, far):
    """Rows of what the network says about itself.

    ``coverage``: percent of test thresholds inside the 90 % interval; ``ood_false``: percent of
    test fields that are flagged; ``ood_caught``: percent of fields of the far family.
    """
    low, high = model.predict_interval(X, coverage=0.9).T
    known = ~np.isnan(y)
    inside = ((low <= y) & (y <= high))[known]
    found = {
        "coverage": inside.mean(),
        "ood_false": model.is_unusual(X).mean(),
        "ood_caught": model.is_unusual(far).mean(),
    }
    return [row(case, "default", metric, seed, 100 * value) for metric, value in found.items()]
