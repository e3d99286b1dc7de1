"""Studies subject by subject, from files, and merged."""

import subprocess
import sys
import time
from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import FitFailedWarning

from sklearn_meg import Study, SubjectMean, TemporalReceptiveField
from sklearn_meg.metrics import r_across_trials

SPENT = ["fit_s", "predict_s"]
MODELS = {
    "trf": TemporalReceptiveField(tmax=3, alphas=1.0),
    "long": TemporalReceptiveField(tmax=6, alphas=1.0),
}
study = partial(Study, MODELS, cv=2, n_permutations=3)


def trials(seed, n=12):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 2, 20))
    y = np.roll(X.sum(axis=1, keepdims=True), 2, axis=2) + rng.normal(size=(n, 3, 20))
    return {"X": X, "y": y}


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        np.savez(tmp_path / f"sub-{number:02d}.npz", **trials(number))
    return tmp_path


def same(a, b):
    columns = ["model", "fold", "subject"]
    a, b = (t.drop(columns=SPENT).sort_values(columns, ignore_index=True) for t in (a, b))
    pd.testing.assert_frame_equal(a, b)


def test_subjects_from_files_are_studied_one_by_one(folder, tmp_path):
    found = study().run_subjects(folder)
    alone = study().run(**trials(3), subjects=np.full(12, "sub-03"))
    same(found.table_.query("subject == 'sub-03'"), alone.table_)
    np.testing.assert_array_equal(found.maps_["trf"][3], alone.maps_["trf"][0])
    np.testing.assert_allclose(found.null_z_["trf"][3], alone.null_z_["trf"][0])
    assert found.gains().set_index("model").loc["trf", "claimed"]
    assert len(found.features()) == len(alone.features())
    assert found.shapes_["n_subjects"] == 6 and found.shapes_["X"] == (72, 2, 20)
    assert "in 6 of 6 subjects" in found.verdict()[0]
    assert "72 trials of 6 subject" in found.report(tmp_path / "page.html").read_text("utf-8")
    train, test = found.splits_[1]
    assert not set(train) & set(test)
    assert len(train) + len(test) == 72


def test_the_number_of_jobs_and_the_order_change_nothing(folder):
    files = sorted(folder.glob("*.npz"))
    one, two = study().run_subjects(folder), study(n_jobs=2).run_subjects(files[::-1])
    same(one.table_, two.table_)
    np.testing.assert_array_equal(one.maps_["trf"], two.maps_["trf"])


def test_subjects_that_fail_are_reported_at_the_end(folder, tmp_path):
    (folder / "sub-02.npz").write_bytes(b"torn")
    np.savez(folder / "sub-04.npz", **trials(4, n=1))
    with pytest.warns(FitFailedWarning, match="2 of 6 subjects .* sub-02, sub-04"):
        found = study().run_subjects(folder, errors="continue")
    assert found.failed_["subject"].tolist() == ["sub-02", "sub-04"]
    assert "damaged" in found.failed_["error"][0]
    assert found.table_["subject"].nunique() == 4
    assert "sub-02, sub-04" in found.verdict()[-1]
    assert "torn" not in found.report(tmp_path / "page.html").read_text("utf-8")
    with pytest.raises(ValueError, match="damaged"):
        study().run_subjects([folder / "sub-02.npz"])


def test_models_that_fail_in_one_subject_are_scored(folder):
    X, y = trials(1).values()
    np.savez(folder / "sub-01.npz", X=X[:, :1], y=y)
    models = {"rows": TemporalReceptiveField(tmax=3, alphas=1.0, feature_groups=[[0], [1]])}
    bad = Study(models, cv=2, error_score=np.nan, floors=None, n_permutations=0)
    with pytest.warns(FitFailedWarning, match="fails|failed"):
        found = bad.run_subjects(folder, features={"a": [0]})
    assert found.table_.groupby("subject")["r"].apply(lambda r: r.isna().all()).sum() == 1
    assert found.table_["subject"].nunique() == 6


def test_what_one_machine_did_is_merged_with_what_another_did(folder):
    files = sorted(folder.glob("*.npz"))
    parts = [study().run_subjects(some) for some in (files[:2], files[2:])]
    both, merged = study().run_subjects(folder), Study.merge(parts)
    same(both.table_, merged.table_)
    pd.testing.assert_frame_equal(both.gains(), merged.gains())
    assert merged.n_fits_ == both.n_fits_


def test_models_of_the_same_trials_are_merged():
    data = trials(0)
    parts = [Study({name: MODELS[name]}, cv=2, n_permutations=3).run(**data) for name in MODELS]
    merged, both = Study.merge(parts), study().run(**data)
    same(merged.table_, both.table_)
    assert set(merged.models) == set(MODELS)


def test_studies_that_do_not_go_together_are_not_merged():
    def run(seed, subject, models=MODELS, **keys):
        subjects = np.full(12, subject)
        return Study(models, **{"cv": 2, "n_permutations": 0, **keys}).run(
            **trials(seed), subjects=subjects
        )

    first = run(0, "a")
    for other, message in [
        (run(1, "a"), "Subject a is in Study 1 and in Study 2"),
        (run(0, "b", cv=3), "number of folds"),
        (run(1, "b", scoring="r"), "same scores"),
        (run(1, "b", models={"trf": MODELS["trf"]}), "same models"),
        (run(1, "b", models={**MODELS, "trf": SubjectMean()}), "'trf' of Study 2 differs"),
        (run(1, "b", start=4), "first sample"),
    ]:
        with pytest.raises(ValueError, match=message):
            Study.merge([first, other])
    twice = [run(s, name) for s, name in ((0, "a"), (1, "b"), (0, "c"))]
    with pytest.raises(ValueError, match="Subjects a and c hold the same trials"):
        Study.merge(twice)
    with pytest.raises(ValueError, match="list of Study"):
        Study.merge([])


@pytest.mark.parametrize("subjects", ["nowhere", [], {"a": "nowhere.npz"}, ["x/a.npz", "y/a.npz"]])
def test_subjects_must_be_files(tmp_path, subjects):
    with pytest.raises(ValueError, match="subjects must"):
        study().run_subjects(subjects)


def test_files_hold_known_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", **trials(0), time=np.arange(20))
    with pytest.raises(ValueError, match="may hold times.*Got X, time, y"):
        study().run_subjects(tmp_path)


CODE = """
import sys
from tests.study.test_subjects import study
study(cache_dir=sys.argv[2]).run_subjects(sys.argv[1])
"""


def test_a_consortium_that_is_killed_goes_on(tmp_path):
    data, results = tmp_path / "data", tmp_path / "store"
    data.mkdir()
    for number in range(20):
        np.savez(data / f"sub-{number:02d}.npz", **trials(number))
    process = subprocess.Popen([sys.executable, "-c", CODE, data, results])
    limit = time.monotonic() + 60
    while process.poll() is None and len(list(results.glob("*.npz"))) < 30:
        assert time.monotonic() < limit
        time.sleep(0.005)
    process.kill()
    process.wait()
    found = study(cache_dir=results).run_subjects(data)
    assert found.n_fits_ < 20 * 6
    same(found.table_, study().run_subjects(data).table_)


def test_arguments_come_from_a_function():
    found = study().run_subjects({"a": partial(trials, 0), "b": partial(trials, 1)})
    assert found.table_["subject"].unique().tolist() == ["a", "b"]
    assert np.isfinite(r_across_trials(trials(0)["y"], trials(0)["y"]))


def test_the_page_says_whose_trials_are_unusual(tmp_path):
    data = trials(0, n=40)
    data["X"][20:] *= 5  # the second half is another experiment
    half = [(np.arange(20), np.arange(20, 40))]
    found = Study({"trf": MODELS["trf"]}, cv=half, n_permutations=0).run(**data)
    assert found.unusual_["unusual"].tolist() > [0.5]
    assert "more than 30% of the trials left out are unlike" in found.verdict()[-1]
    page = found.report(tmp_path / "page.html").read_text("utf-8")
    assert "Trials unlike those that models were fitted on" in page
    usual = Study({"trf": MODELS["trf"]}, cv=2, n_permutations=0).run(**trials(1, n=40))
    assert usual.unusual_["unusual"].max() < 0.3
