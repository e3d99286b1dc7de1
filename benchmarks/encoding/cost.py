"""What the deep encoder costs: against a hand-written loop, and as trials get more."""

from time import perf_counter

import numpy as np
import torch

from sklearn_meg.datasets import make_words
from sklearn_meg.encoding import DeepRecurrentEncoder

from ..report import check, row, values

CASE = "speed_deep"


def cost_rows(seed=0, quick=False):
    """Times on one thread, with both sides of a comparison in the same run, in turn.

    Returns rows (list of dict): Case "speed_deep": ``epoch_s`` of the estimator (model
        ``default``) and of a hand-written loop with the same network and batches (model
        ``plain_torch``), the median over repeats; ``fit_s`` of the estimator with 300 and 1200
        trials a subject (``fit_4x_s``).
    """
    size = {"n_subjects": 2, "n_trials": 20} if quick else {"n_subjects": 6, "n_trials": 300}
    data = make_words("N", random_state=seed, **size)
    n_epochs = 1 if quick else 3
    ours, plain = [], []
    for _ in range(1 if quick else 5):
        ours.append(_estimator_loop(data, n_epochs))
        plain.append(_plain_loop(data, n_epochs))
    rows = [
        row(CASE, "default", "epoch_s", seed, np.median(ours) / n_epochs),
        row(CASE, "plain_torch", "epoch_s", seed, np.median(plain) / n_epochs),
    ]
    if quick:
        return rows
    more = make_words("N", random_state=seed, n_trials=1200)
    for metric, part in (("fit_s", data), ("fit_4x_s", more)):
        begun = perf_counter()
        DeepRecurrentEncoder(**part.rows, random_state=seed).fit(part.X, part.y)
        rows.append(row(CASE, "default", metric, seed, perf_counter() - begun))
    return rows


def checks(rows):
    """Overhead of the estimator, and growth with the trials."""
    found = {
        (model, metric): values(rows, CASE, model, metric).mean()
        for model, metric in (
            *(("default", "epoch_s"), ("plain_torch", "epoch_s")),
            *(("default", "fit_s"), ("default", "fit_4x_s")),
        )
        if len(values(rows, CASE, model, metric))
    }
    if ("default", "fit_s") not in found:
        return []
    overhead = found["default", "epoch_s"] / found["plain_torch", "epoch_s"]
    growth = found["default", "fit_4x_s"] / found["default", "fit_s"]
    return [
        check("epoch: estimator / hand-written loop", overhead, "<= 1.1"),
        check("fit of world N (s)", found["default", "fit_s"], "<= 40"),
        check("fit with 4x the trials / fit", growth, "<= 4.3"),
    ]


def _encoder(n_epochs):
    return {"base": None, "validation_fraction": 0.0, "max_epochs": n_epochs, "random_state": 0}


def _estimator_loop(data, n_epochs):
    model = DeepRecurrentEncoder(**data.rows, **_encoder(n_epochs)).fit(data.X, data.y)
    return sum(epoch["dur"] for epoch in model.history_)


def _plain_loop(data, n_epochs):
    """The same network, optimizer, schedule, clipping and batches without skorch."""
    some = slice(None, None, max(1, len(data.X) // 60))  # of every subject: the same network
    model = DeepRecurrentEncoder(**data.rows, **_encoder(1)).fit(data.X[some], data.y[some])
    module, inputs = model.net_.module_, model._inputs(data.X)
    targets = torch.nan_to_num(model._targets(data.X, data.y))
    n, size = len(targets), model.batch_size
    n_steps = n_epochs * -(-n // size)
    optimizer = torch.optim.AdamW(module.parameters(), lr=model.lr, weight_decay=model.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, model.lr, total_steps=n_steps + 1)
    generator = torch.Generator().manual_seed(0)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    module.train()
    begun = perf_counter()
    for _ in range(n_epochs):
        order = torch.randperm(n, generator=generator)
        for first in range(0, n, size):
            part = order[first : first + size]
            optimizer.zero_grad()
            predicted = module(**{name: tensor[part] for name, tensor in inputs.items()})
            loss = torch.nn.functional.mse_loss(predicted, targets[part])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), model.clip_norm)
            optimizer.step()
            schedule.step()
    spent = perf_counter() - begun
    torch.set_num_threads(before)
    return spent
