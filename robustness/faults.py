"""Faults of disks and processes. Each function meets one and says whether nothing was lost by it.

Nothing is lost if the result is that of undisturbed work, to the last bit, whenever there is one;
if a fault that is in the way is an error or a warning that names it; and if a good file that was
there before still is.
"""

import os
import shutil
import signal
import threading
import time
import warnings
from contextlib import contextmanager, suppress
from pathlib import Path

import joblib
import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from sklearn_meg import DeepRecurrentEncoder, Study, TemporalReceptiveField
from sklearn_meg._training.callbacks import StopAtNonFiniteLoss
from sklearn_meg.datasets import make_states
from sklearn_meg.dynamics import HiddenMarkovGraph

N_EPOCHS = 12


class Stopped(Exception):
    """Stands for the end of a process."""


def _data(seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(40, 3, 20)), rng.normal(size=(40, 2, 20))


def _model(seed, folder=None):
    return DeepRecurrentEncoder(
        max_epochs=N_EPOCHS, hidden_size=8, random_state=seed, cache_dir=folder
    )


def _weights(model):
    return [w.cpu().numpy() for w in model.net_.module_.state_dict().values()]


def _same(one, two):
    return all(np.array_equal(a, b) for a, b in zip(_weights(one), _weights(two), strict=True))


@contextmanager
def at_each_batch(hook):
    """Call ``hook(epoch)`` after each batch of any fit, whatever its callbacks are."""
    finite = StopAtNonFiniteLoss.on_batch_end

    def on_batch_end(callback, net, **kwargs):
        hook(len(net.history))
        finite(callback, net, **kwargs)

    StopAtNonFiniteLoss.on_batch_end = on_batch_end
    try:
        yield
    finally:
        StopAtNonFiniteLoss.on_batch_end = finite


def _interrupted(folder, seed):
    """A fit that ended in an epoch; its checkpoint."""

    def stop(epoch):
        if epoch == N_EPOCHS // 2:
            raise Stopped

    with at_each_batch(stop), suppress(Stopped):
        _model(seed, folder).fit(*_data(seed))
    (file,) = folder.glob("*.ckpt")
    return file


@contextmanager
def full_disk(n_bytes):
    """No file may become larger than so many bytes, as if the disk were full.

    The limit is the system's (RLIMIT_FSIZE): what is written beyond it fails in ``write``.
    """
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def _caught(call):
    """Result and text of the warnings of a call."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        result = call()
    return result, " ".join(str(w.message) for w in seen)


def _damaged(folder, seed, damage):
    """A fit whose checkpoint was damaged begins anew, says so, and ends as it should."""
    X, y = _data(seed)
    file = _interrupted(folder, seed)
    file.write_bytes(damage(file.read_bytes(), np.random.default_rng(seed)))
    model, said = _caught(lambda: _model(seed, folder).fit(X, y))
    return "begins anew" in said and _same(model, _model(seed).fit(X, y))


def _flip(data, rng):
    data = bytearray(data)
    data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    return bytes(data)


def checkpoint_truncated(folder, seed):
    """The file ends somewhere."""
    return _damaged(folder, seed, lambda data, rng: data[: rng.integers(len(data))])


def checkpoint_flipped(folder, seed):
    """One bit is another."""
    return _damaged(folder, seed, _flip)


def checkpoint_foreign(folder, seed):
    """A file of something else."""
    return _damaged(folder, seed, lambda data, rng: rng.bytes(500))


def checkpoint_disk_full(folder, seed):
    """The disk is full from the middle of a fit on: the fit ends, the last checkpoint stays."""
    X, y = _data(seed)
    file = _interrupted(folder, seed)
    before = file.read_bytes()
    with full_disk(len(before) // 2):
        model, said = _caught(lambda: _model(seed, folder).fit(X, y))
    kept = file.read_bytes() == before and list(folder.iterdir()) == [file]
    again = _model(seed, folder).fit(X, y)
    whole = _model(seed).fit(X, y)
    return "could not be written" in said and kept and _same(model, whole) and _same(again, whole)


def checkpoint_folder_gone(folder, seed):
    """The folder is deleted in the middle of a fit."""
    X, y = _data(seed)

    def delete(epoch):
        if epoch == N_EPOCHS // 2:
            shutil.rmtree(folder / "c", ignore_errors=True)

    with at_each_batch(delete):
        model, said = _caught(lambda: _model(seed, folder / "c").fit(X, y))
    return "could not be written" in said and _same(model, _model(seed).fit(X, y))


def checkpoint_folder_unusable(folder, seed):
    """The folder cannot be made: an error before training that names the parameter."""
    (folder / "file").write_text("")
    X, y = _data(seed)
    try:
        _model(seed, folder / "file" / "c").fit(X, y)
    except ValueError as error:
        return "cache_dir" in str(error)
    return False


def checkpoint_shared(folder, seed):
    """Two processes fit the same at the same time, in the same folder."""
    X, y = _data(seed)
    two = joblib.Parallel(n_jobs=2)(joblib.delayed(_model(seed, folder).fit)(X, y) for _ in "ab")
    whole = _model(seed).fit(X, y)
    return all(_same(model, whole) for model in two)


def states_damaged(folder, seed):
    """The checkpoint of a hidden Markov model is damaged."""
    X = make_states("easy", n_subjects=3, n_times=200, random_state=seed).X[:, :10]
    model = HiddenMarkovGraph(n_states=3, random_state=seed, cache_dir=folder).fit(X)
    (file,) = folder.glob("*.ckpt")
    file.write_bytes(_flip(file.read_bytes(), np.random.default_rng(seed)))
    again, said = _caught(lambda: HiddenMarkovGraph(**model.get_params()).fit(X))
    return "begins anew" in said and np.array_equal(again.covariances_, model.covariances_)


class Counting(RegressorMixin, BaseEstimator):
    """A ridge regression that leaves a mark for each fit, and may kill its process in one."""

    def __init__(self, marks, deadly=None):
        self.marks, self.deadly = marks, deadly

    def fit(self, X, y):
        """Fit, and mark it."""
        mark = Path(self.marks) / f"{float(np.sum(X)):.6f}"
        if self.deadly and Path(self.deadly).exists() and len(list(mark.parent.iterdir())) >= 2:
            Path(self.deadly).unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        with open(mark, "a") as file:
            file.write("x")
        self.ridge_ = Ridge().fit(X.reshape(len(X), -1), y.reshape(len(y), -1))
        self.shape_ = y.shape[1:]
        return self

    def predict(self, X):
        """Predict."""
        return self.ridge_.predict(X.reshape(len(X), -1)).reshape(-1, *self.shape_)


def _study(folder, model=None, n_jobs=None):
    models = {"trf": model or TemporalReceptiveField()}
    return Study(models, cv=KFold(6), cache_dir=folder / "store", n_jobs=n_jobs)


def _scores(study):
    return study.table_.select_dtypes("number").drop(columns=["fit_s", "predict_s"]).to_numpy(float)


def study_result_damaged(folder, seed):
    """A stored fold is damaged: computed again, with a warning; the others are not."""
    X, y = _data(seed)
    whole = _study(folder).run(X, y)
    rng = np.random.default_rng(seed)
    file = rng.choice(sorted((folder / "store").glob("*.npz")))
    file.write_bytes(file.read_bytes()[: rng.integers(file.stat().st_size)])
    again, said = _caught(lambda: _study(folder).run(X, y))
    return "computed again" in said and again.n_fits_ == 1 and _same_scores(again, whole)


def _same_scores(one, two):
    return np.array_equal(_scores(one), _scores(two), equal_nan=True)


def study_disk_full(folder, seed):
    """The disk is full: an error; afterwards the study goes on with what was stored."""
    X, y = _data(seed)
    whole = _study(folder / "whole").run(X, y)
    smallest = min(f.stat().st_size for f in (folder / "whole/store").glob("*.npz"))
    try:
        with full_disk(smallest // 2):
            _study(folder).run(X, y)
        failed = False
    except OSError:
        failed = True
    return failed and _same_scores(_study(folder).run(X, y), whole)


def study_worker_killed(folder, seed):
    """A worker process of joblib is killed: an error; the study goes on where it was."""
    X, y = _data(seed)
    (folder / "marks").mkdir()
    deadly = folder / "deadly"
    deadly.write_text("")
    model = Counting(str(folder / "marks"), str(deadly))
    try:
        _study(folder, model, n_jobs=2).run(X, y)
        failed = False
    except Exception as error:  # joblib's TerminatedWorkerError, by whichever name
        failed = "Terminated" in type(error).__name__ or "worker" in str(error)
    kept = len(list((folder / "store").glob("*.npz")))
    again = _study(folder, model).run(X, y)
    (folder / "plain").mkdir()
    whole = _study(folder / "plain", Counting(str(folder / "plain"))).run(X, y)
    n_jobs = len(again.results_.jobs)  # with the floor
    return failed and kept > 0 and again.n_fits_ == n_jobs - kept and _same_scores(again, whole)


def study_interrupted(folder, seed):
    """Ctrl-C in the middle of a study."""
    X, y = _data(seed)
    whole = _study(folder / "whole").run(X, y)

    def press():
        deadline = time.monotonic() + 30
        while not list(folder.glob("store/*.npz")) and time.monotonic() < deadline:
            time.sleep(1e-4)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    finger = threading.Thread(target=press)
    finger.start()
    try:
        _study(folder).run(X, y)
        finger.join()
        time.sleep(0.01)
    except KeyboardInterrupt:
        pass
    finger.join()
    return _same_scores(_study(folder).run(X, y), whole)


FAULTS = {
    "checkpoint: truncated": checkpoint_truncated,
    "checkpoint: bit flipped": checkpoint_flipped,
    "checkpoint: foreign file": checkpoint_foreign,
    "checkpoint: disk full": checkpoint_disk_full,
    "checkpoint: folder deleted": checkpoint_folder_gone,
    "checkpoint: folder unusable": checkpoint_folder_unusable,
    "checkpoint: two processes": checkpoint_shared,
    "states: bit flipped": states_damaged,
    "study: result truncated": study_result_damaged,
    "study: disk full": study_disk_full,
    "study: worker killed": study_worker_killed,
    "study: Ctrl-C": study_interrupted,
}
