import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy.stats import wilcoxon
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import make_scorer
from sklearn.model_selection import GroupKFold, KFold, LeaveOneOut, ShuffleSplit, cross_validate
from threadpoolctl import threadpool_limits

import sklearn_meg
from sklearn_meg import RecurrentTRF, Study, pack_rows
from sklearn_meg._saving import store
from sklearn_meg.metrics import make_r_scorer, r_across_trials, r_map
from sklearn_meg.study import WithoutFeatures, mapped

SPENT = ["fit_s", "predict_s"]
bare = partial(Study, floors=None)


class Ridge3D(RegressorMixin, BaseEstimator):
    """A minimal encoder: one ridge from all of X to all of y. Counts its fits in a folder."""

    def __init__(self, alpha=1.0, subject_row=None, initial_rows=None, n_initial=0, log=None):
        self.alpha = alpha
        self.subject_row = subject_row
        self.initial_rows = initial_rows
        self.n_initial = n_initial
        self.log = log

    def fit(self, X, y):
        if self.log is not None:
            with open(self.log, "a") as file:
                file.write(f"fit {self.alpha}\n")
        F = X.reshape(len(X), -1)
        self.shape_ = y.shape[1:]
        gram = F.T @ F + self.alpha * np.eye(F.shape[1])
        self.coef_ = np.linalg.solve(gram, F.T @ y.reshape(len(y), -1))
        return self

    def predict(self, X):
        return (X.reshape(len(X), -1) @ self.coef_).reshape(len(X), *self.shape_)


class Failing(Ridge3D):
    def predict(self, X):
        raise RuntimeError("no prediction today")


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(48, 3, 8))
    y = np.einsum("nft,fc->nct", X, rng.normal(size=(3, 4))) + rng.normal(size=(48, 4, 8))
    return X, 1e-13 * y


@pytest.fixture
def models():
    return {"weak": Ridge3D(alpha=1e4), "ridge": Ridge3D(alpha=10.0)}


def count(log):
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_table_is_what_cross_validate_says(data, models):
    cv = KFold(4, shuffle=True, random_state=0)
    study = bare(models, cv=cv, scoring=("r", "r_time"), start=2).run(*data)
    assert list(study.table_) == ["model", "fold", "subject", "n_test", "r", "r_time", *SPENT]
    assert len(study.table_) == 2 * 4
    scoring = {"r": make_r_scorer(start=2), "r_time": make_r_scorer("time", start=2)}
    for name, model in models.items():
        expected = cross_validate(model, *data, cv=cv, scoring=scoring)
        rows = study.table_[study.table_["model"] == name]
        for metric in scoring:
            np.testing.assert_allclose(rows[metric], expected[f"test_{metric}"], rtol=1e-12)
        assert not hasattr(model, "coef_")


def test_subjects_are_scored_one_by_one(data, models):
    X, y = data
    subjects = np.arange(48) % 3
    study = bare({"ridge": models["ridge"]}, cv=4).run(X, y, subjects=subjects)
    assert study.table_.groupby("fold")["subject"].apply(list).tolist() == [[0, 1, 2]] * 4
    train, test = study.splits_[1]
    assert (np.bincount(subjects[test]) == 4).all()  # blocks of every subject
    predicted = models["ridge"].fit(X[train], y[train]).predict(X[test])
    one = subjects[test] == 2
    row = study.table_.query("fold == 1 and subject == 2").iloc[0]
    np.testing.assert_allclose(row["r"], r_across_trials(y[test][one], predicted[one]))
    curve = study.curves_.query("fold == 1 and subject == 2")["r"]
    np.testing.assert_allclose(curve, r_map(y[test][one], predicted[one]).mean(axis=0))
    assert study.maps_["ridge"].shape == (3, 4, 8)
    np.testing.assert_allclose(study.maps_["ridge"].mean(), study.table_["r"].mean())


def test_subjects_come_from_the_row_that_models_name_or_from_groups(data):
    X, y = data
    subjects = np.arange(48) % 2
    packed = np.concatenate([X, np.broadcast_to(subjects[:, None, None], (48, 1, 8))], axis=1)
    named = bare({"m": Ridge3D(subject_row=3)}, cv=3).run(packed, y)
    assert sorted(named.table_["subject"].unique()) == [0, 1]
    grouped = bare({"m": Ridge3D()}, cv=GroupKFold(3)).run(X, y, groups=np.repeat(list("abc"), 16))
    assert sorted(grouped.table_["subject"]) == ["a", "b", "c"]


def test_an_int_with_groups_leaves_whole_groups_out(data):
    groups = np.arange(48) % 6
    study = Study({"m": Ridge3D()}, cv=3).run(*data, groups=groups)
    assert all(not set(groups[a]) & set(groups[b]) for a, b in study.splits_)


def test_plain_arrays_have_a_floor(data):
    study = Study({"m": Ridge3D()}, cv=3, n_permutations=10).run(*data)
    assert study.gains()[["model", "floor"]].values.tolist() == [["m", "mean"]]
    assert "m explains more than mean" in study.verdict()[0]
    alone = bare({"m": Ridge3D()}, cv=3).run(*data)
    assert alone.verdict()[0].startswith("m scores 0.")


def test_two_studies_share_one_store(data, tmp_path):
    models = {f"m{i}": Ridge3D(alpha=float(i)) for i in (1, 10)}
    first, second = (bare(models, cv=3, cache_dir=tmp_path) for _ in range(2))
    key = "f" * 32
    assert store.claim(tmp_path, key) and not store.claim(tmp_path, key)
    with ThreadPoolExecutor() as pool:
        for study in pool.map(lambda s: s.run(*data), (first, second)):
            assert len(study.table_) == 6
    pd.testing.assert_frame_equal(
        first.table_.drop(columns=SPENT), second.table_.drop(columns=SPENT)
    )
    assert len(list(tmp_path.glob("*.npz"))) == 6
    assert [path.name for path in tmp_path.glob(".*")] == [f".{key}.claim"]


def test_start_is_by_default_the_end_of_the_initial_window(data):
    models = {"a": Ridge3D(n_initial=3), "b": Ridge3D(n_initial=5)}
    assert Study(models, cv=3).run(*data).start_ == 5


def test_one_test_trial_a_subject_is_scored_over_pooled_subjects(data, models):
    X, y = data
    subjects = np.repeat(np.arange(12), 4)
    cv = [(np.flatnonzero(np.arange(48) % 4 != k), np.arange(k, 48, 4)) for k in range(4)]
    study = Study(models, cv=cv).run(X, y, subjects=subjects)
    assert study.table_["r"].isna().all()
    assert study.table_["r_time"].notna().all()
    assert study.pooled_["r"].notna().all()
    summary = study.summary().set_index(["model", "metric"])
    pooled = study.pooled_.groupby("model")["r"].mean()
    assert summary.loc[("ridge", "r"), "mean"] == pytest.approx(pooled["ridge"])
    assert "pooled" in summary.loc[("ridge", "r"), "over"]
    assert set(study.curves_["subject"]) == {"pooled"}
    assert study.compare("ridge", "weak")["n_pairs"].tolist() == [4, 1]


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_two_jobs_give_the_same_bits(data, models, backend):
    with threadpool_limits(1):  # as in a worker: this ridge does not limit them
        one = Study(models, cv=3).run(*data)
    with joblib.parallel_config(backend), threadpool_limits(1):
        two = Study(models, cv=3, n_jobs=2).run(*data)
    pd.testing.assert_frame_equal(
        one.table_.drop(columns=SPENT), two.table_.drop(columns=SPENT), check_exact=True
    )
    np.testing.assert_array_equal(one.maps_["ridge"], two.maps_["ridge"])


def test_progress_bar_counts_finished_jobs(data, models, capsys):
    bare(models, cv=3, verbose=1).run(*data)
    assert "6/6" in capsys.readouterr().err
    bare(models, cv=3).run(*data)
    assert capsys.readouterr().err == ""


def test_memory_mapped_data_give_the_same(data, models, tmp_path):
    mapped = []
    for name, array in zip("Xy", data):
        np.save(tmp_path / f"{name}.npy", array)
        mapped.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    a, b = (
        Study(models, cv=3).run(*data),
        Study(models, cv=3, cache_dir=tmp_path / "s").run(*mapped),
    )
    pd.testing.assert_frame_equal(a.table_.drop(columns=SPENT), b.table_.drop(columns=SPENT))


# ------------------------------------------------------------------ the store


def test_finished_folds_are_not_fitted_again(data, tmp_path):
    log = tmp_path / "log"
    models = {"ridge": Ridge3D(log=str(log))}
    first = bare(models, cv=3, cache_dir=tmp_path / "store").run(*data)
    assert count(log) == first.n_fits_ == 3
    models["other"] = Ridge3D(alpha=2.0, log=str(log))
    again = bare(models, cv=3, cache_dir=tmp_path / "store").run(*data)
    assert count(log) == 6
    assert again.n_fits_ == 3
    old = again.table_[again.table_["model"] == "ridge"]
    pd.testing.assert_frame_equal(old, first.table_, check_exact=True)  # times, too
    for name in ("curves_", "pooled_"):
        frame = getattr(again, name)
        pd.testing.assert_frame_equal(frame[frame["model"] == "ridge"], getattr(first, name))


def _alpha(study, X, y):
    study.models = {"ridge": study.models["ridge"].set_params(alpha=3.0)}
    return X, y, {}


def _one_value(study, X, y):
    y = y.copy()
    y[7, 2, 3] *= 1 + 1e-9
    return X, y, {}


def _precision(study, X, y):
    return X.astype(np.float32), y, {}


def _folds(study, X, y):
    study.cv = KFold(3, shuffle=True, random_state=0)
    return X, y, {}


def _scores(study, X, y):
    study.scoring = {"r": make_r_scorer("time")}
    return X, y, {}


def _start(study, X, y):
    study.start = 3
    return X, y, {}


def _subjects(study, X, y):
    return X, y, {"subjects": np.arange(len(X)) // 8 % 2}


def _code(study, X, y):
    study.models = {"ridge": Doubled(log=study.models["ridge"].log)}
    return X, y, {}


class Doubled(Ridge3D):
    def predict(self, X):
        return 2 * super().predict(X)


@pytest.mark.parametrize(
    "change", [_alpha, _one_value, _precision, _folds, _scores, _start, _subjects, _code]
)
def test_nothing_stale_is_served(data, tmp_path, change):
    log = tmp_path / "log"
    study = Study(
        {"ridge": Ridge3D(log=str(log))},
        cv=KFold(3),
        scoring={"r": "r"},
        cache_dir=tmp_path / "store",
    )
    study.run(*data)
    X, y, more = change(study, *data)
    study.run(X, y, **more)
    assert count(log) == 6
    fresh = Study(study.models, cv=study.cv, scoring=study.scoring, start=study.start)
    expected = fresh.run(X, y, **more).table_
    pd.testing.assert_frame_equal(study.table_.drop(columns=SPENT), expected.drop(columns=SPENT))


def test_a_custom_score_is_known_by_its_code(data, tmp_path):
    log = tmp_path / "log"
    for sign in (1, -1, 1):
        scorer = make_scorer(lambda a, b, sign=sign: sign * r_across_trials(a, b))
        study = bare(
            {"m": Ridge3D(log=str(log))}, cv=2, scoring={"s": scorer}, cache_dir=tmp_path / "s"
        )
        assert (sign * study.run(*data).table_["s"] > 0).all()
    assert count(log) == 4


@pytest.mark.parametrize("content", [b"", b"foreign", None, "pickle", "other"])
def test_a_damaged_result_is_computed_again(data, tmp_path, content):
    log, store = tmp_path / "log", tmp_path / "store"
    study = bare({"ridge": Ridge3D(log=str(log))}, cv=3, cache_dir=store)
    table = study.run(*data).table_
    files = sorted(store.glob("*.npz"))
    if content is None:  # cut off
        files[0].write_bytes(files[0].read_bytes()[:-200])
    elif content == "pickle":
        with open(files[0], "wb") as file:
            np.savez(file, meta=np.array([{"a": 1}], dtype=object))
    elif content == "other":
        files[0].write_bytes(files[1].read_bytes())
    else:
        files[0].write_bytes(content)
    with pytest.warns(UserWarning, match="computed again"):
        study.run(*data)
    assert count(log) == 4
    pd.testing.assert_frame_equal(study.table_.drop(columns=SPENT), table.drop(columns=SPENT))


SCRIPT = """
import os, sys, signal
import numpy as np
sys.path.insert(0, {tests!r})
from test_study import Ridge3D
from sklearn_meg import RecurrentTRF, Study, pack_rows
from sklearn_meg._saving import store

class Killed(Ridge3D):
    # The fourth fit of the study never ends: the process is killed from inside.
    def fit(self, X, y):
        super().fit(X, y)
        if len(open(self.log).readlines()) == 4 and not os.path.exists(self.log + ".killed"):
            open(self.log + ".killed", "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        return self

rng = np.random.default_rng(0)
X, y = rng.normal(size=(30, 2, 5)), rng.normal(size=(30, 3, 5))
log, store, table = sys.argv[1:]
models = {{"a": Killed(alpha=1.0, log=log), "b": Killed(alpha=5.0, log=log)}}
study = Study(models, cv=3, cache_dir=store or None).run(X, y)
study.table_.drop(columns=["fit_s", "predict_s"]).to_csv(table, index=False)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
def test_a_killed_study_goes_on_where_it_was(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT.format(tests=os.path.dirname(__file__))))
    log, undisturbed = tmp_path / "log", tmp_path / "log0"
    (tmp_path / "log0.killed").touch()
    root = os.path.dirname(os.path.dirname(sklearn_meg.__file__))
    environment = {**os.environ, "PYTHONPATH": root}

    def run(log, store, table):
        arguments = [str(log), str(store), str(tmp_path / table)]
        return subprocess.run(
            [sys.executable, str(script), *arguments], capture_output=True, env=environment
        )

    assert run(undisturbed, "", "expected.csv").returncode == 0
    assert run(log, tmp_path / "store", "t.csv").returncode == -signal.SIGKILL
    assert not (tmp_path / "t.csv").exists()
    assert len(list((tmp_path / "store").glob("*.npz"))) == 3
    assert run(log, tmp_path / "store", "t.csv").returncode == 0
    assert (tmp_path / "t.csv").read_text() == (tmp_path / "expected.csv").read_text()
    assert count(log) == 3 + 1 + 3  # finished, killed, the rest


def test_a_store_warns_of_folds_that_differ_in_every_run(data, tmp_path):
    with pytest.warns(UserWarning, match="random_state"):
        Study({"m": Ridge3D()}, cv=ShuffleSplit(2), cache_dir=tmp_path).run(*data)


# ------------------------------------------------------------------ statistics


def test_compare_is_the_signed_rank_test(data, models):
    subjects = np.arange(48) % 6
    study = Study(models, cv=2).run(*data, subjects=subjects)
    found = study.compare("ridge", "weak", metric="r2").set_index("over")
    wide = study.table_.pivot(index=["fold", "subject"], columns="model", values="r2")
    difference = wide["ridge"] - wide["weak"]
    assert found.loc["subjects x folds", "p"] == wilcoxon(difference).pvalue
    assert found.loc["subjects x folds", "n_pairs"] == 12
    assert found.loc["subjects x folds", "median_difference"] == difference.median()
    assert found.loc["subjects", "n_pairs"] == 6
    assert found.loc["subjects", "p"] == wilcoxon(difference.groupby("subject").mean()).pvalue
    mirrored = study.compare("weak", "ridge", metric="r2")
    np.testing.assert_allclose(mirrored["effect_size"], -found["effect_size"])
    assert found["effect_size"].abs().max() <= 1


def test_a_model_does_not_differ_from_itself(data):
    study = bare({"a": Ridge3D(), "b": Ridge3D()}, cv=3)
    study.run(*data, subjects=np.arange(48) % 2)
    assert (study.comparisons_["p"] == 1).all()
    assert (study.comparisons_["effect_size"] == 0).all()
    study.run(*data)  # one subject is no sample of subjects
    alone = study.comparisons_.set_index("over")["p"]["subjects"]
    assert alone.isna().all()


def test_summary_is_mean_and_spread(data, models):
    study = Study(models, cv=4, scoring="r_time").run(*data)
    summary = study.summary(reference="ridge").set_index("model")
    scores = study.table_.query("model == 'weak'")["r_time"]
    assert summary.loc["weak", "mean"] == pytest.approx(scores.mean())
    assert summary.loc["weak", "sem"] == pytest.approx(scores.std() / 2)
    assert summary.loc["ridge", "ratio_to_ridge"] == pytest.approx(1)


# ------------------------------------------------------------------ mistakes


def test_failures_are_raised_or_scored(data, models):
    models["failing"] = Failing()
    with pytest.raises(RuntimeError, match="no prediction today"):
        bare(models, cv=3).run(*data)
    with pytest.warns(FitFailedWarning, match="'failing' failed in fold"):
        study = bare(models, cv=3, error_score=np.nan).run(*data)
    assert study.table_.query("model == 'failing'")["r"].isna().all()
    assert study.table_.query("model == 'ridge'")["r"].notna().all()
    assert len(study.table_) == 9


def test_failures_are_not_stored(data, tmp_path):
    for _ in range(2):
        with pytest.warns(FitFailedWarning):
            study = bare({"f": Failing()}, cv=2, cache_dir=tmp_path, error_score=0.0).run(*data)
        assert study.n_fits_ == 2


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"models": {}}, TypeError, "dict of name"),
        ({"models": {"a": Ridge3D}}, TypeError, "an instance"),
        ({"models": {3: Ridge3D()}}, ValueError, "strings"),
        ({"scoring": "accuracy"}, ValueError, "'r', 'r_time', 'r2'"),
        ({"cv": 49}, ValueError, "at least 49 trials of every subject. Got 48"),
        ({"cv": 1}, ValueError, "at least 2"),
        ({"cv": KFold(60)}, ValueError, "cannot split these 48 trials"),
        ({"cv": [([0, 1, 2], [2, 3])]}, ValueError, "1 in both"),
        ({"start": 8}, ValueError, "0 to 7"),
        ({"error_score": "ignore"}, ValueError, "error_score"),
    ],
)
def test_settings_are_checked_before_any_fit(data, tmp_path, settings, error, message):
    log = tmp_path / "log"
    settings = {"models": {"m": Ridge3D(log=str(log))}, **settings}
    with pytest.raises(error, match=message):
        Study(settings.pop("models"), **settings).run(*data)
    assert count(log) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X[:5], y, {}), "as many trials"),
        (lambda X, y: (X, y[:, 0], {"times": np.arange(8)}), "n_trials, n_channels, n_times"),
        (lambda X, y: (np.where(X > 2, np.nan, X), y, {}), "X contains NaN"),
        (lambda X, y: (X, np.where(y > 2e-13, np.inf, y), {}), "y contains NaN"),
        (lambda X, y: (X, y, {"times": np.arange(3)}), "times must have the shape"),
        (lambda X, y: (X, y, {"subjects": np.arange(3)}), "subjects must hold"),
        (lambda X, y: (X, y, {"groups": np.arange(3)}), "must hold one value"),
        (lambda X, y: (X, y, {"groups": np.arange(48) % 2}), "at least 3 groups. Got 2"),
        (
            lambda X, y: (X, y, {"subjects": np.arange(48) // 23}),
            "of every subject. Got 2 of subject 2",
        ),
    ],
)
def test_data_are_checked_before_any_fit(data, tmp_path, change, message):
    log = tmp_path / "log"
    X, y, more = change(*data)
    with pytest.raises(ValueError, match=message):
        Study({"m": Ridge3D(log=str(log))}, cv=3).run(X, y, **more)
    assert count(log) == 0


def test_a_store_that_is_a_file_is_refused(data, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="cache_dir must be a folder"):
        Study({"m": Ridge3D()}, cache_dir=tmp_path / "file").run(*data)


def test_questions_before_the_run_and_unknown_names(data, models):
    study = Study(models, cv=LeaveOneOut())
    with pytest.raises(ValueError, match="call run"):
        study.summary()
    study = Study(models, cv=3).run(*data)
    for call in (
        lambda: study.compare("ridge", "lasso"),
        lambda: study.compare("ridge", "ridge"),
        lambda: study.compare("ridge", "weak", metric="mse"),
        lambda: study.summary(reference="lasso"),
    ):
        with pytest.raises(ValueError, match="must be"):
            call()


@pytest.mark.parametrize("onset", [False, True])
def test_the_floor_has_no_rows_of_features(onset, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    boxcar = (np.arange(12) > 5).astype(float)
    told = rng.normal(size=(20, 2, 1)) * boxcar
    told = np.concatenate([told, np.tile(boxcar, (20, 1, 1))], axis=1) if onset else told
    y = rng.normal(size=(20, 3, 12)).cumsum(axis=2)
    X, rows = pack_rows(told, subjects=np.arange(20) % 2, initial=y, n_initial=4)
    floor = WithoutFeatures(RecurrentTRF(tmax=3, n_past=2, alphas=1.0, **rows), features=[0, 1])
    y_pred = floor.fit(X, y).predict(X)
    assert floor.kept_rows_.tolist() == list(range(2 if onset else 0, 1)) + list(
        range(2, X.shape[1])
    )
    others = X.copy()
    others[:, :2] = rng.normal(size=(20, 2, 12))
    np.testing.assert_array_equal(floor.predict(others), y_pred)
    assert r_across_trials(y, y_pred, start=4) > 0.3  # it knows the initial window
    np.save(tmp_path / "X.npy", X)
    mapped_X = np.load(tmp_path / "X.npy", mmap_mode="r")
    monkeypatch.setattr(mapped, "IN_MEMORY_BYTES", 1000)
    np.testing.assert_allclose(clone(floor).fit(mapped_X, y).predict(mapped_X), y_pred)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["X.npy"]
