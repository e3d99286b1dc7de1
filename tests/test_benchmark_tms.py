import numpy as np

from benchmarks.report import values
from benchmarks.tms import run as tms
from benchmarks.tms.models import FIELD_ONLY, OURS, PHYSICS
from benchmarks.tms.scores import scores


def test_quick_run_has_every_model_and_no_check():
    rows, checks, settings = tms.run(quick=True, cases=["L5"])
    assert checks == [] and settings["cases"] == ["L5"]
    assert {row["model"] for row in rows} == {"paper", *OURS, *PHYSICS, *FIELD_ONLY}
    assert all(np.isfinite(row["value"]) for row in rows)
    assert 0 <= values(rows, "L5", "default", "coverage")[0] <= 100


def test_scores_of_a_constant_factor():
    X = np.ones((50, 3, 3, 3, 3))
    y = np.linspace(50, 100, 50)
    y[7] = np.nan
    found = {r["metric"]: r["value"] for r in scores("L5", "default", 0, X, y, 1.1 * y)}
    np.testing.assert_allclose([found["mape"], found["p99"], found["r2_corr"]], [10, 10, 1])
    assert found["r2"] < 1
    np.testing.assert_allclose(found["r2"], found["r2_didt"])  # the same field everywhere
