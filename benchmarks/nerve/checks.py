"""What the benchmark of nerve decoders was meant to show."""

from ..report import check, values

TRIAL, WINDOW = "trial_accuracy", "window_accuracy"


def make_checks(rows):
    """Compare with what the issue asks for, where the cases were run."""
    return [*_world(rows), *_ours(rows), *_real(rows), *_sessions(rows), *_speed(rows)]


def _world(rows):
    """The world is neither easy nor hopeless: means over seeds of LDA on the 14 features."""
    checks = []
    for case, low, high in (("same_day", 0.85, 0.90), ("drift2", 0.70, 0.78)):
        for name, metric in _metrics(case):
            found = values(rows, name, "lda", metric)
            if len(found):
                checks.append(check(f"{name}: the world, lda", found.mean(), f">= {low}"))
                checks.append(check(f"{name}: the world, lda", found.mean(), f"<= {high}"))
    return checks


def _metrics(case):
    """The dense nerve is decided by windows, the sparse one by trials."""
    return ((case, WINDOW), (f"{case}_sparse", TRIAL))


def _ours(rows):
    checks = []
    asked = (
        ("same_day", "lda", 0.05),
        ("drift2", "lda_adapted", 0.04),
        ("drift3", "lda_adapted", 0.08),
    )
    for case, peer, margin in asked:
        for name, metric in _metrics(case):
            ours, theirs = (values(rows, name, model, metric) for model in ("default", peer))
            if len(ours):
                gain = (ours - theirs).mean()
                checks.append(check(f"{name}: default - {peer}, {metric}", gain, f">= {margin}"))
    for name in ("dof", "dof_sparse"):
        r2 = values(rows, name, "default", "r2")
        if not len(r2):
            continue
        checks.append(check(f"{name}: R2", r2.mean(), ">= 0.85"))
        for peer in ("ridge", "kalman"):
            gain = (r2 - values(rows, name, peer, "r2")).min()
            checks.append(check(f"{name}: R2 - that of {peer} (worst seed)", gain, "> 0"))
    return checks


def _real(rows):
    asked = (
        ("emg_days1-5_to_25-30", "default", TRIAL, 0.93),
        ("emg_days1-5_to_25-30", "default_online", TRIAL, 0.91),
        ("emg_days1-5_to_25-30", "default", WINDOW, 0.91),
        ("emg_day1_to_25-30", "default", TRIAL, 0.87),
        ("emg_intraday", "default", TRIAL, 0.965),
    )
    checks = []
    for case, model, metric, bound in asked:
        found = values(rows, case, model, metric)
        if len(found):
            checks.append(check(f"{case}: {model}, {metric}", found.mean(), f">= {bound}"))
    return checks


def _sessions(rows):
    checks = []
    for case in ("failed_session", *(f"failed_session_p{p}" for p in (1, 2, 3))):
        found = values(rows, case, "session", "auc")
        if len(found):
            checks.append(check(f"{case}: AUC, worst seed", found.min(), ">= 0.9"))
    for p in (1, 2, 3):
        case = f"people_days1-5_to_25-30_p{p}"
        ours = values(rows, case, "default", TRIAL)
        for peer in ("session", "riemann", "dtw"):
            found = values(rows, case, peer, TRIAL)
            if len(found) and len(ours):
                checks.append(check(f"{case}: default - {peer}", ours[0] - found[0], ">= 0"))
    return checks


def _speed(rows):
    asked = (
        ("latency", "default", "p95_ms", "<= 5"),
        ("latency", "paper", "p95_ms", "<= 15"),
        ("stream", "default", "real_time_factor", ">= 20"),
        ("stream", "default", "end_p95_ms", "<= 15"),
        ("stream", "default", "growth_mb", "<= 1"),
    )
    checks = []
    for case, model, metric, bound in asked:
        found = values(rows, case, model, metric)
        if len(found):
            checks.append(check(f"{case}: {model}, {metric}", found[0], bound))
    return checks
