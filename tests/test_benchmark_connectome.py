import numpy as np

from benchmarks.connectome import run as connectome
from benchmarks.connectome.checks import make_checks
from benchmarks.connectome.models import PEERS
from benchmarks.report import row, values


def test_quick_run_has_every_model_and_no_check():
    rows, checks, settings = connectome.run(quick=True, cases=["annulus", "flips", "two_point"])
    assert checks == [] and settings["cases"] == ["annulus", "flips", "two_point"]
    found = {r["model"] for r in rows if r["case"] == "annulus"}
    assert found == {"default", "follow", "conv", "spline", "oracle", *PEERS}
    assert all(np.isfinite(r["value"]) for r in rows)
    oracle = values(rows, "annulus", "oracle", "deviation_mean")
    assert oracle < values(rows, "annulus", "euclid", "deviation_mean") / 20
    assert values(rows, "flips", "default", "change") <= 1e-10


def test_a_lost_seed_is_a_lost_check():
    ours, peers = [0.01, 0.5], ("euclid", "inverse", "adjugate", "conformal")
    rows = [row("arcs60", "default", "deviation_mean", s, v) for s, v in enumerate(ours)]
    rows += [row("arcs60", p, "deviation_mean", s, 0.4) for p in peers for s in (0, 1)]
    found = {c["name"]: c for c in make_checks(rows)}
    assert not found["arcs60: deviation_mean"]["passed"]  # 0.255 on average
    worst = found["arcs60: mean / that of the best baseline (worst seed)"]
    assert worst["value"] == 1.25 and not worst["passed"]
