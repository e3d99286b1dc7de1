"""How long a decision takes, and a long stream."""

from time import process_time

import numpy as np

from sklearn_meg.datasets import make_nerve
from sklearn_meg.nerve import NerveDecoder, NerveStream, WindowClassifier

from ..report import row

SHORT = {"n_train": 2, "n_test": 1}
WARM_UP = 50  # decisions
LAST_ENDS = 600  # trials


def _models(nerve):
    raw = {"sfreq": nerve.sfreq, "session_row": -1, "adaptation": "online"}
    # What the weights are does not matter here.
    ours = {**raw, "max_epochs": 1, "random_state": 0}
    models = {
        "lda": WindowClassifier(**raw),
        "default": NerveDecoder(**ours),
        "paper": NerveDecoder(network="paper", **ours),
    }
    train = nerve.session == 0
    return {name: m.fit(nerve.X[train], nerve.y[train]) for name, m in models.items()}


def latency_rows(quick):
    """Milliseconds of one CPU a decision, a hop at a time: 16 channels at 5 kHz."""
    nerve = make_nerve((0,), **SHORT)
    signal = np.concatenate(list(nerve.X[:, :-1]), axis=1)[:, : 10_000 if quick else 130_000]
    rows = []
    for name, model in _models(nerve).items():
        stream, spent = NerveStream(model), []
        for start in range(0, signal.shape[1], 100):
            begun = process_time()
            decisions = stream.push(signal[:, start : start + 100])
            spent += [process_time() - begun] * len(decisions)
        ms = 1e3 * np.array(spent[WARM_UP:])
        for metric, q in (("median_ms", 50), ("p95_ms", 95), ("p99_ms", 99)):
            rows.append(row("latency", name, metric, 0, np.percentile(ms, q)))
        if hasattr(model, "net_"):
            n = sum(p.numel() for p in model.net_.module_.network.parameters())
            rows.append(row("latency", name, "n_parameters", 0, n))
    return rows


def stream_rows(quick):
    """One hour in chunks of 0.2 s: speed, ends of trials, growth of memory (not on Windows)."""
    import resource

    nerve = make_nerve((0,), **SHORT)
    model = _models(nerve)["default"]
    stream = model.stream()
    trials = nerve.X[:, :-1]
    n_seconds = 5 if quick else 3600
    busy, memory, right, ends = 0.0, [], 0, []
    for second in range(n_seconds):
        trial = trials[second % len(trials)]
        begun = process_time()
        for start in range(0, trial.shape[1], 1000):
            right += len(stream.push(trial[:, start : start + 1000]))
        ended = process_time()
        stream.end_trial()
        busy += process_time() - begun
        ends.append(process_time() - ended)
        if second == n_seconds // 4 or second == n_seconds - 1:
            memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return [
        row("stream", "default", "seconds_of_signal", 0, n_seconds),
        row("stream", "default", "decisions", 0, right),
        row("stream", "default", "real_time_factor", 0, n_seconds / busy),
        row("stream", "default", "end_p95_ms", 0, 1e3 * np.percentile(ends[-LAST_ENDS:], 95)),
        row("stream", "default", "growth_mb", 0, (memory[-1] - memory[0]) / 2**10),
    ]
