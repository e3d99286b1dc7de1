"""The same study on dask workers: the same bits, whatever happens to a worker."""

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_validate

from robustness.worlds import world
from sklearn_meg import Study, TemporalReceptiveField, permutation_importance_over_time
from sklearn_meg.dynamics import HiddenMarkovGraph, select_n_states
from sklearn_meg.metrics import make_r_scorer

distributed = pytest.importorskip("distributed")
# dask's own: closing a cluster, and a worker that was killed on purpose.
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::UserWarning:distributed"
)
SCORES = ["r", "r_time", "r2"]


@pytest.fixture(scope="module")
def client():
    """Two worker processes of one thread each."""
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(host="127.0.0.1", **options) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def table(study):
    return study.table_[["model", "fold", "subject", *SCORES]]


def study(**params):
    tiny = world("DeepRecurrentEncoder")
    rows = {k: tiny.params[k] for k in ("subject_row", "initial_rows", "n_initial")}
    models = {
        "trf": TemporalReceptiveField(tmax=3.0, **rows),
        "deep": tiny.model(validation_fraction=0),
    }
    return Study(models, cv=KFold(3), **params), tiny.X, tiny.y


@pytest.fixture(scope="module")
def alone():
    """The study run in this process."""
    one, X, y = study()
    return one.run(X, y)


def test_a_study_gives_the_same_bits_as_alone(client, alone, tmp_path):
    with joblib.parallel_config("dask"):
        two, X, y = study(cache_dir=tmp_path)
        two.run(X, y)
    assert table(two).equals(table(alone))
    for name, values in alone.maps_.items():
        np.testing.assert_array_equal(two.maps_[name], values)


def test_cross_validation_and_searches_give_the_same_bits_as_alone(client):
    tiny = world("DeepRecurrentEncoder")
    model = tiny.model(validation_fraction=0)
    kwargs = {"cv": 3, "scoring": make_r_scorer(start=4)}
    one = cross_validate(model, tiny.X, tiny.y, **kwargs)["test_score"]
    flat = tiny.y.reshape(len(tiny.y), -1)
    search = GridSearchCV(model, {"lr": [1e-3, 1e-2]}, cv=2).fit(tiny.X, flat)
    with joblib.parallel_config("dask"):
        two = cross_validate(model, tiny.X, tiny.y, **kwargs)["test_score"]
        again = GridSearchCV(model, {"lr": [1e-3, 1e-2]}, cv=2).fit(tiny.X, flat)
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(
        again.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"]
    )
    np.testing.assert_array_equal(again.predict(tiny.X), search.predict(tiny.X))


def test_all_else_that_is_parallel_gives_the_same_bits_as_alone(client):
    tiny = world("TemporalReceptiveField")
    model = tiny.fitted()
    X = world("HiddenMarkovGraph").X
    states = HiddenMarkovGraph(n_init=2, random_state=0)

    def both():
        importance = permutation_importance_over_time(
            model, tiny.X, tiny.y, n_repeats=2, random_state=0
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # too little data for the rules to agree
            return importance, select_n_states(states, X, n_states=(1, 2))

    one, chosen = both()
    with joblib.parallel_config("dask"):
        two, again = both()
    np.testing.assert_array_equal(two.importances, one.importances)
    assert again.table_.equals(chosen.table_)


def test_workers_use_one_thread_each(client):
    def threads():
        import torch

        return torch.get_num_threads()

    assert set(client.run(threads).values()) == {1}


class Marked(RegressorMixin, BaseEstimator):
    """A ridge regression that leaves a mark for each fit; one of them kills its worker once."""

    def __init__(self, folder):
        self.folder = folder

    def fit(self, X, y):
        folder = Path(self.folder)
        time.sleep(0.1)
        deadly = folder / "deadly"
        if len(list(folder.glob("fit*"))) >= 3 and deadly.exists():
            deadly.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        (folder / f"fit{time.monotonic_ns()}").touch()
        self.ridge_ = Ridge().fit(X.reshape(len(X), -1), y.reshape(len(y), -1))
        self.shape_ = y.shape[1:]
        return self

    def predict(self, X):
        return self.ridge_.predict(X.reshape(len(X), -1)).reshape(-1, *self.shape_)


def test_a_worker_that_is_killed_costs_its_own_folds_only(client, tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 2, 10)), rng.normal(size=(40, 2, 10))

    def run(folder):
        folder.mkdir(exist_ok=True)
        return Study({"ridge": Marked(str(folder))}, cv=KFold(10)).run(X, y)

    whole = run(tmp_path / "alone")
    killed = tmp_path / "killed"
    killed.mkdir()
    (killed / "deadly").touch()
    with joblib.parallel_config("dask"):
        again = run(killed)
    assert not (killed / "deadly").exists()
    assert table(again).equals(table(whole))
    # 10 folds; those whose results were on the killed worker, not yet fetched, are done again.
    assert 10 <= len(list(killed.glob("fit*"))) <= 13


def test_scheduler_and_worker_as_programs_of_their_own(alone, tmp_path):
    """As on a cluster: processes that know each other by a file."""
    contact = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": Path.cwd()}
    own = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}
    scheduler = [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    worker = [*dask, "worker", "--nthreads", "1", "--no-dashboard", "--no-nanny"]
    where = ["--scheduler-file", str(contact)]
    commands = [[*scheduler, *where], [*worker, *where]]
    processes = [subprocess.Popen(command, env=own, **quiet) for command in commands]
    try:
        deadline = time.monotonic() + 60
        while not contact.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        with distributed.Client(scheduler_file=str(contact)) as client:
            client.wait_for_workers(1, timeout=60)
            with joblib.parallel_config("dask"):
                two, X, y = study()
                two.run(X, y)
        assert table(two).equals(table(alone))
    finally:
        for process in processes:
            process.kill()
            process.wait()
