"""What the benchmark of metrics was meant to show."""

import numpy as np

from ..report import check, values
from .models import PEERS

BOUNDS = {
    "annulus": {"deviation_mean": "<= 0.08"},
    "arcs90": {"deviation_mean": "<= 0.01"},
    "arcs60": {"deviation_mean": "<= 0.05"},
    "arcs45": {"deviation_mean": "<= 0.05"},
    "arcs30": {"deviation_mean": "<= 0.05"},
    "braid": {"deviation_median": "<= 0.25", "deviation_crossing": "<= 0.8"},
    "brain_like": {"deviation_mean": "<= 0.3", "deviation_median": "<= 0.13"},
}
PHANTOM = {
    "connect_share": ">= 0.96",
    "connect_mm": "<= 1",
    "bundles_share": ">= 0.93",
    "overlap": ">= 0.7",
    "shoot_share": ">= 0.75",
    "auc": ">= 0.95",
}
SECONDS = {"annulus": "<= 2", "arcs90": "<= 15"}


def make_checks(rows):
    """Compare with what the issue asks for, where the cases were run."""
    checks = []
    for case in dict.fromkeys(r["case"] for r in rows):
        checks += _world_checks(rows, case) if len(_mean(rows, case, "euclid")) else []
    return checks + _phantom_checks(rows) + _more_checks(rows)


def _mean(rows, case, model, metric="deviation_mean"):
    return values(rows, case, model, metric)


def _world_checks(rows, case):
    checks = []
    for metric, bound in BOUNDS.get(case, {}).items():
        value = values(rows, case, "default", metric).mean()
        checks.append(check(f"{case}: {metric}", value, bound))
    ours = _mean(rows, case, "default")
    every = (*PEERS, *(f"{peer}_smoothed" for peer in PEERS))
    peers = [found for peer in every if len(found := _mean(rows, case, peer))]
    ratio = float(np.max(ours / np.min(peers, axis=0)))
    checks.append(check(f"{case}: mean / that of the best baseline (worst seed)", ratio, "< 1"))
    if len(conv := _mean(rows, case, "conv")):
        ratio = conv.mean() / ours.mean()
        checks.append(check(f"{case}: convolutional / direct solver, mean", ratio, "<= 1.5"))
        if len(spline := _mean(rows, case, "spline")):
            ratio = conv.mean() / spline.mean()
            checks.append(check(f"{case}: convolutional / spline solver, mean", ratio, "<= 1.5"))
    if case in SECONDS:
        slowest = values(rows, case, "default", "fit_s").max()
        checks.append(check(f"{case}: CPU seconds to fit (slowest)", slowest, SECONDS[case]))
    return checks


def _phantom_checks(rows):
    checks = []
    for metric, bound in PHANTOM.items():
        found = values(rows, "phantom20", "default", metric)
        if len(found):
            checks.append(check(f"phantom20: {metric}", found.mean(), bound))
    ours, peer = (values(rows, "phantom20", name, "valid") for name in ("default", "eudx"))
    if len(ours) and len(peer):
        ratio = float(np.mean(ours) / np.mean(peer))
        checks.append(check("phantom20: valid connections / EuDX's", ratio, ">= 1"))
    checks += _way_checks(rows)
    follow = values(rows, "brain_like", "follow", "deviation_mean")
    if len(follow):
        checks.append(check("brain_like: mean with follow=1", follow.mean(), "<= 0.1"))
    return checks


def _way_checks(rows):
    """Ways between places, most of real data, against those of the best other metric."""
    checks = []
    for case in ("real_bundles", "more_bundles", "real_pairs", "phantom_pairs"):
        metrics = {r["metric"] for r in rows if r["case"] == case and "connect_" in r["metric"]}
        for metric in sorted(metrics):
            ours, *others = (
                values(rows, case, name, metric) for name in ("default", "inverse", "euclid")
            )
            ratio = ours.mean() / min(each.mean() for each in others if len(each))
            name = f"{case}: {metric} / that of the best baseline"
            checks.append(check(name, float(ratio), "<= 1"))
    return checks


def _more_checks(rows):
    bounds = (
        ("flips", "default", "change", "largest change of the metric", "<= 1e-10"),
        ("two_point", "sphere", "error", "sphere: largest error of a distance", "<= 1e-3"),
        ("two_point", "half_plane", "error", "half plane: largest error of a distance", "<= 1e-3"),
        ("speed", "cube64", "fit_s", "64 x 64 x 64: CPU seconds to fit", "<= 30"),
        ("speed", "cube64", "n_voxels", "64 x 64 x 64: voxels", ">= 20000"),
        ("outside", "default", "voxels", "outside: most that a way leaves the mask", "<= 0.5"),
        ("speed", "scaling", "exponent", "seconds grow with voxels to the power", "<= 1.1"),
    )
    checks = []
    for case, model, metric, name, bound in bounds:
        found = values(rows, case, model, metric)
        if len(found):
            checks.append(check(f"{case}: {name}", found.max(), bound))
    return checks
