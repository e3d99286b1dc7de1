import numpy as np

from benchmarks.tms.scores import scores


def test_scores_of_a_constant_factor():
    X = np.ones((50, 3, 3, 3, 3))
    y = np.linspace(50, 100, 50)
    y[7] = np.nan
    found = {r["metric"]: r["value"] for r in scores("L5", "default", 0, X, y, 1.1 * y)}
    np.testing.assert_allclose([found["mape"], found["p99"], found["r2_corr"]], [10, 10, 1])
    assert found["r2"] < 1
    np.testing.assert_allclose(found["r2"], found["r2_didt"])  # the same field everywhere
