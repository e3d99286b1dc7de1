from benchmarks.connectome.checks import make_checks
from benchmarks.report import row


def test_a_lost_seed_is_a_lost_check():
    ours, peers = [0.01, 0.5], ("euclid", "inverse", "adjugate", "conformal")
    rows = [row("arcs60", "default", "deviation_mean", s, v) for s, v in enumerate(ours)]
    rows += [row("arcs60", p, "deviation_mean", s, 0.4) for p in peers for s in (0, 1)]
    found = {c["name"]: c for c in make_checks(rows)}
    assert not found["arcs60: deviation_mean"]["passed"]  # 0.255 on average
    worst = found["arcs60: mean / that of the best baseline (worst seed)"]
    assert worst["value"] == 1.25 and not worst["passed"]
