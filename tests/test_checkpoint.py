"""Fits that are killed go on where they were, to the same weights."""

import errno
import multiprocessing
import os
import pickle
import shutil
import time

import numpy as np
import pytest
from sklearn.base import clone
from skorch.callbacks import EarlyStopping

from robustness.faults import at_each_batch
from sklearn_meg import (
    ConvolutionalMetric,
    DeepRecurrentEncoder,
    HiddenMarkovGraph,
    NerveDecoder,
    NerveRegressor,
    RNNSourceSolver,
    ThresholdCNN,
)
from sklearn_meg._saving import checkpoint as _checkpoint
from sklearn_meg.datasets import make_fibers, make_states
from sklearn_meg.dynamics import _em
from sklearn_meg.dynamics._emissions import Samples

N_EPOCHS = 8


class Crash(Exception):
    """Stands for the end of a process in the middle of an epoch."""


@pytest.fixture
def after_every_epoch(monkeypatch):
    monkeypatch.setattr(_checkpoint, "SHARE", np.inf)


@pytest.fixture
def crash(after_every_epoch):
    """A function that fits and stops in an epoch, and says which epochs it began."""

    def fit(model, X, y, stop=None):
        seen = set()

        def hook(epoch):
            seen.add(epoch)
            if epoch == stop:
                raise Crash

        with at_each_batch(hook):
            if stop is None:
                return clone(model).fit(X, y), sorted(seen)
            with pytest.raises(Crash):
                clone(model).fit(X, y)
        return None, sorted(seen)

    return fit


def world(name):
    """A model and a small data set: fit(X, y) and outputs(X)."""
    rng = np.random.default_rng(0)
    common = {"max_epochs": N_EPOCHS, "random_state": 3}
    X, y = rng.normal(size=(40, 3, 20)), rng.normal(size=(40, 2, 20))
    kinds = np.arange(40) % 3
    if name == "encoder":
        # Held-out trials that are the last are judged once; random ones, if few, three times.
        return DeepRecurrentEncoder(hidden_size=8, validation_split="last", **common), X, y
    if name == "encoder, stopped early":
        early = {**common, "max_epochs": 30, "patience": 4, "schedule": None}
        early["validation_split"] = "last"
        return DeepRecurrentEncoder(hidden_size=8, **early), X, y
    if name == "source":
        X = (np.arange(20) > 4).astype(float) * np.ones((3, 1, 1))
        return RNNSourceSolver(**common), X, rng.normal(size=(3, 4, 20))
    if name == "source, paper":
        X = (np.arange(20) > 4).astype(float) * np.ones((3, 1, 1))
        return RNNSourceSolver(localizer="penalty", **common), X, rng.normal(size=(3, 4, 20))
    if name == "threshold":
        X = rng.normal(size=(60, 3, 3, 3, 3))
        return ThresholdCNN(**common), X, 100 / np.linalg.norm(X[:, 1, 1, 1], axis=-1)
    if name == "connectome":
        return ConvolutionalMetric(**common), make_fibers("annulus", size=16).X, None
    if name == "decoder":
        return NerveDecoder(hidden_size=8, **common), X + kinds[:, None, None], kinds
    # With a gate it trains twice, and each training is resumed by itself.
    return NerveRegressor(hidden_size=8, gated=False, **common), X, y


WORLDS = (
    "encoder",
    "encoder, stopped early",
    "source",
    "source, paper",
    "threshold",
    "connectome",
    "decoder",
    "regressor",
)


def weights(model):
    return [w.detach().cpu().numpy() for w in model.net_.module_.state_dict().values()]


def same(one, two):
    for a, b in zip(weights(one), weights(two), strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(one.history_, two.history_, strict=True):
        assert {**a, "dur": 0} == {**b, "dur": 0}


@pytest.mark.parametrize("name", WORLDS)
def test_a_fit_that_was_killed_ends_with_the_same_weights(name, crash, tmp_path):
    model, X, y = world(name)
    whole = clone(model).fit(X, y)
    model.set_params(cache_dir=tmp_path)
    last = len(whole.history_)
    assert last > 3
    _, seen = crash(model, X, y, 2)
    assert seen == [1, 2]
    _, seen = crash(model, X, y, last)
    assert seen == list(range(2, last + 1))
    resumed, seen = crash(model, X, y)
    assert seen == [last]
    same(resumed, whole)
    again, seen = crash(model, X, y)
    assert seen in ([], [last])  # [last]: that which stopped early
    same(again, whole)


def test_going_on_from_a_fit_is_resumed_too(after_every_epoch, tmp_path):
    model, X, y = world("encoder")
    whole = clone(model).fit(X, y).partial_fit(X, -y)
    started = clone(model).set_params(cache_dir=tmp_path).fit(X, y)
    before = pickle.dumps(started)
    resumed = pickle.loads(before)

    def stop(epoch):
        if epoch == 5:
            raise Crash

    with at_each_batch(stop), pytest.raises(Crash):
        started.partial_fit(X, -y)
    same(resumed.partial_fit(X, -y), whole)


@pytest.mark.parametrize("change", ["lr", "X", "y", "groups", "seed"])
def test_another_fit_does_not_go_on_there(change, crash, tmp_path):
    model, X, y = world("encoder")
    model.set_params(cache_dir=tmp_path)
    crash(model, X, y, 4)
    groups = np.arange(40) % 4 if change == "groups" else None
    if change == "lr":
        model.set_params(lr=0.002)
    elif change == "seed":
        model.set_params(random_state=4)
    elif change != "groups":
        X, y = (X + 1e-6, y) if change == "X" else (X, y + 1e-6)
    expected = clone(model).set_params(cache_dir=None).fit(X, y, groups=groups)
    same(clone(model).fit(X, y, groups=groups), expected)
    assert len(list(tmp_path.glob("*.ckpt"))) == 2


def test_what_changes_no_result_changes_no_checkpoint(crash, tmp_path, capsys):
    model, X, y = world("encoder")
    model.set_params(cache_dir=tmp_path)
    crash(model, X, y, 4)
    moved = tmp_path / "moved"
    shutil.copytree(tmp_path, moved)
    _, seen = crash(model.set_params(cache_dir=moved, verbose=1), X, y)
    assert seen == list(range(4, N_EPOCHS + 1))


def test_callbacks_of_skorch_go_on_too(crash, tmp_path):
    model, X, y = world("encoder")
    stop = EarlyStopping(patience=3, load_best=True)
    model.set_params(callbacks=[stop], max_epochs=20, lr=0.03)
    whole = clone(model).fit(X, y)
    model.set_params(cache_dir=tmp_path)
    assert 3 < len(whole.history_) < 20
    crash(model, X, y, len(whole.history_) - 1)
    resumed, _ = crash(model, X, y)
    same(resumed, whole)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "pickle", "empty", "foreign"])
def test_a_damaged_checkpoint_is_a_warning_and_a_new_start(damage, crash, tmp_path):
    model, X, y = world("encoder")
    whole = clone(model).fit(X, y)
    model.set_params(cache_dir=tmp_path)
    crash(model, X, y, 4)
    (file,) = tmp_path.glob("*.ckpt")
    data = bytearray(file.read_bytes())
    if damage == "truncated":
        data = data[: len(data) // 2]
    elif damage == "flipped":
        data[len(data) // 2] ^= 1
    elif damage == "pickle":
        data = pickle.dumps(Payload())
    else:
        data = b"" if damage == "empty" else b"of another program"
    file.write_bytes(bytes(data))
    with pytest.warns(UserWarning, match="begins anew"):
        resumed, seen = crash(model, X, y)
    assert seen == list(range(1, N_EPOCHS + 1))
    same(resumed, whole)


class Payload:
    """Fails the test if it is ever loaded."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def test_a_full_disk_costs_the_checkpoint_but_neither_the_fit_nor_the_last_one(
    crash, tmp_path, monkeypatch
):
    model, X, y = world("encoder")
    whole = clone(model).fit(X, y)
    model.set_params(cache_dir=tmp_path)
    crash(model, X, y, 3)
    (file,) = tmp_path.glob("*.ckpt")
    before = file.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(UserWarning, match="could not be written.*No space left"):
        resumed, _ = crash(model, X, y)
    same(resumed, whole)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("seed", [None, np.random.RandomState(0)])
def test_a_fit_that_cannot_be_repeated_cannot_be_resumed(seed, tmp_path):
    model, X, y = world("encoder")
    with pytest.raises(ValueError, match="random_state to be an int"):
        model.set_params(cache_dir=tmp_path, random_state=seed).fit(X, y)


@pytest.mark.parametrize("folder", [3, "a file"])
def test_a_folder_that_is_none_is_an_error_before_training(folder, tmp_path):
    model, X, y = world("encoder")
    if folder == "a file":
        folder = tmp_path / "file"
        folder.write_text("")
    with pytest.raises((TypeError, ValueError), match="cache_dir.* must be"):
        model.set_params(cache_dir=folder).fit(X, y)


@pytest.mark.parametrize("batch_size", [None, 2])
def test_states_go_on_too(batch_size, tmp_path, monkeypatch, after_every_epoch):
    X = make_states("easy", n_subjects=5, n_times=300).X[:, :8]
    params = {"n_states": 3, "n_init": 3, "batch_size": batch_size, "random_state": 0}
    model = HiddenMarkovGraph(**params, cache_dir=tmp_path)
    count, expect, crashes_at = [], Samples.moments, []

    def moments(self, gamma):
        count.append(1)
        if len(count) in crashes_at:
            raise Crash
        return expect(self, gamma)

    monkeypatch.setattr(Samples, "moments", moments)
    whole = HiddenMarkovGraph(**params).fit(X)
    crashes_at.append(len(count) - 3)  # after the kind of start was chosen
    count.clear()
    with pytest.raises(Crash):
        model.fit(X)
    crashes_at.clear()
    count.clear()
    model.fit(X)
    resumed = len(count)
    count.clear()
    whole_again = HiddenMarkovGraph(**params).fit(X)
    assert resumed < len(count) - 5  # it went on, it did not begin anew
    for one in (model, whole_again):
        for name in ("means_", "covariances_", "transmat_", "history_", "restart_scores_"):
            np.testing.assert_array_equal(getattr(one, name), getattr(whole, name), err_msg=name)


@pytest.mark.filterwarnings("ignore:Do not trust these states")  # one iteration
def test_passes_over_recordings_go_on_in_their_order(tmp_path, monkeypatch, after_every_epoch):
    X = make_states("hard", n_subjects=7, n_times=200).X[:, :8]
    params = {"n_states": 3, "n_init": 2, "batch_size": 2, "max_iter": 1, "random_state": 0}
    whole = HiddenMarkovGraph(**params).fit(X)
    stepped, steps = _em._stepped, []

    def crashes(batch, share, run, *settings):
        steps.append(run.step)
        if run.step == 3 and len(steps) == 4:
            raise Crash
        return stepped(batch, share, run, *settings)

    monkeypatch.setattr(_em, "_stepped", crashes)
    model = HiddenMarkovGraph(**params, cache_dir=tmp_path)
    with pytest.raises(Crash):
        model.fit(X)
    model.fit(X)
    assert steps == [0, 1, 2, 3, 3, 4, 5, 6, 7]
    np.testing.assert_array_equal(model.covariances_, whole.covariances_)


def _fit_and_save(name, folder, out):
    model, X, y = world(name)
    model.set_params(cache_dir=folder, max_epochs=150).fit(X, y)
    np.savez(out, *weights(model))


def test_sigkill_at_any_moment(tmp_path):
    """In real processes, several times in a row."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sklearn_meg.base"])
    model, X, y = world("encoder")
    whole = model.set_params(max_epochs=150).fit(X, y)
    out = tmp_path / "weights.npz"
    kills = 0
    for delay in (0.1, 0.3, None):
        process = context.Process(target=_fit_and_save, args=("encoder", tmp_path / "c", out))
        process.start()
        deadline = time.monotonic() + 60
        while delay and not list(tmp_path.glob("c/*.ckpt")) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.join(delay)
        kills += process.is_alive()
        process.kill() if delay else process.join()
        process.join()
    assert kills > 0
    with np.load(out) as file:
        for a, b in zip(weights(whole), file.values(), strict=True):
            np.testing.assert_array_equal(a, b)
