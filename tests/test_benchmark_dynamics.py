import numpy as np

from benchmarks.dynamics import run as dynamics
from benchmarks.dynamics.checks import make_checks
from benchmarks.report import row


def test_quick_run_has_every_model_and_no_check():
    rows, checks, settings = dynamics.run(quick=True, cases=["easy", "order3"])
    assert checks == [] and settings["cases"] == ["easy", "order3"]
    found = {r["model"] for r in rows if r["case"] == "easy"}
    assert found >= {"default", "paper", "oracle", "single_gaussian", "gmm", "windows"}
    metrics = {r["metric"] for r in rows if (r["case"], r["model"]) == ("easy", "default")}
    assert metrics == {"fit_s", "loglik", "state_accuracy", "ari", "rank_rho"}
    assert all(np.isfinite(r["value"]) for r in rows)


def test_a_better_peer_is_a_lost_check():
    worlds = {"default": [0.95, 0.96], "oracle": [0.97, 0.97], "hmmlearn": [0.9, 0.8],
              "hmmlearn_tuned": [0.95, 0.96]}  # fmt: skip
    rows = []
    for model, accuracies in worlds.items():
        for seed, value in enumerate(accuracies):
            rows.append(row("hard", model, "state_accuracy", seed, value))
            rows.append(row("hard", model, "rank_rho", seed, value))
            rows.append(row("hard", model, "fit_s", seed, 1.0 if model == "default" else 9.0))
            rows.append(row("hard", model, "loglik", seed, -50.0))
    found = {c["name"]: c for c in make_checks(rows)}
    assert found["hard: accuracy / oracle, mean"]["passed"]
    assert found["hard: state_accuracy above best peer as it comes, means"]["passed"]
    assert not found["hard: state_accuracy above best peer, tuned too, means"]["passed"]
    assert found["hard: CPU seconds of hmmlearn / ours"]["value"] == 9.0
    assert not found["hard: CPU seconds of hmmlearn / ours"]["passed"]


def test_the_number_of_states_counts_by_seed():
    rows = [row("order4", "default", "k_recovered", s, s > 1) for s in range(10)]
    (found,) = make_checks(rows)
    assert found["value"] == 0.8 and not found["passed"]
