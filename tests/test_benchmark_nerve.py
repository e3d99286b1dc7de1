import numpy as np

from benchmarks.nerve import run as nerve
from benchmarks.nerve.checks import make_checks
from benchmarks.report import row


def test_quick_run_has_every_model_and_no_check():
    rows, checks, settings = nerve.run(quick=True, cases=["velocity"])
    assert checks == [] and settings["cases"] == ["velocity"]
    assert {r["model"] for r in rows} >= {"default", "ridge_lags", "kalman_lags"}
    assert all(np.isfinite(r["value"]) for r in rows)


def test_an_easy_world_and_a_better_peer_are_lost_checks():
    for case, metric in (("drift2", "window_accuracy"), ("drift2_sparse", "trial_accuracy")):
        rows = []
        for seed in range(2):
            rows.append(row(case, "lda", metric, seed, 0.9))
            rows.append(row(case, "lda_adapted", metric, seed, 0.95))
            rows.append(row(case, "default", metric, seed, 0.96))
        found = [(c["bound"], c["passed"]) for c in make_checks(rows)]
        assert found == [(">= 0.7", True), ("<= 0.78", False), (">= 0.04", False)]
