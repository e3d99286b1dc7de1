"""What a stranger gets: the wheel, the package page, the files that name versions and people."""

import json
import re
import runpy
import shutil
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from email.parser import Parser
from pathlib import Path

import pytest
import yaml

from sklearn_meg import __version__

ROOT = Path(__file__).parents[1]
CONFIG = ConfigParser()
CONFIG.read(ROOT / "setup.cfg", encoding="utf-8")
ADDRESS = CONFIG["metadata"]["url"]
# What conda-forge calls a distribution of PyPI.
CONDA_NAMES = {"torch": "pytorch", "mne": "mne-base", "matplotlib": "matplotlib-base"}


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this tree, built in a copy of it without a network."""
    if not (ROOT / "sklearn_meg").is_dir():
        pytest.skip("tests run away from the tree, against an installed wheel")
    pytest.importorskip("setuptools", minversion="77")
    tree = tmp_path_factory.mktemp("tree")
    for name in ("setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    for name in ("sklearn_meg", "tests", "benchmarks"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    code = "from setuptools import build_meta; print(build_meta.build_wheel('.'))"
    command = [sys.executable, "-c", code]
    out = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=True).stdout
    with zipfile.ZipFile(tree / out.split()[-1]) as archive:
        yield archive


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    files = [p for p in (ROOT / "sklearn_meg").rglob("*") if p.is_file()]
    kept = {
        p.relative_to(ROOT).as_posix()
        for p in files
        if p.suffix in (".py", ".pyi", ".npz") or p.name == "py.typed"
    }
    assert names == kept


def test_the_package_page_has_no_link_into_a_tree(wheel):
    name = next(n for n in wheel.namelist() if n.endswith("METADATA"))
    page = Parser().parsestr(wheel.read(name).decode()).get_payload()
    targets = re.findall(r"\]\(([^)]+)\)", page)
    assert targets
    assert all(target.startswith(("https://", "#")) for target in targets)
    assert f"{ADDRESS}/raw/main/docs/_static/study.png" in targets


def test_links_of_the_readme_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", read("README.md")):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_links_outside_stay_as_they_are():
    page = _page_function()
    assert page("[a](https://b.c) [d](#e)", "https://x.y") == "[a](https://b.c) [d](#e)"
    assert page("[a](b.md) ![p](q.png)", "A") == "[a](A/blob/main/b.md) ![p](A/raw/main/q.png)"


def _page_function():
    import setuptools

    before, setuptools.setup = setuptools.setup, lambda **kwargs: None
    try:
        return runpy.run_path(str(ROOT / "setup.py"))["page"]
    finally:
        setuptools.setup = before


def test_one_version_one_name_one_license():
    citation, zenodo = yaml.safe_load(read("CITATION.cff")), json.loads(read(".zenodo.json"))
    recipe = yaml.safe_load(read("conda/recipe.yaml"))
    assert citation["version"] == recipe["context"]["version"] == __version__
    assert citation["title"] == zenodo["title"]
    license_ = CONFIG["metadata"]["license_expression"]
    assert {citation["license"], zenodo["license"], recipe["about"]["license"]} == {license_}
    assert {citation["repository-code"], recipe["about"]["homepage"]} == {ADDRESS}
    assert read("CHANGES.md").splitlines()[3].startswith(__version__)


def test_conda_asks_for_what_pip_asks_for():
    pip = [line for line in CONFIG["options"]["install_requires"].splitlines() if line]
    pairs = [re.match(r"([\w-]+)(.*)", line).groups() for line in pip]
    expected = {f"{CONDA_NAMES.get(name, name)} {bound}" for name, bound in pairs}
    run = yaml.safe_load(read("conda/recipe.yaml"))["requirements"]["run"]
    assert set(run) == expected | {"python >=${{ python_min }}"}


def test_the_workflow_runs_every_python_that_is_promised():
    promised = re.findall(r"Python :: (3\.\d+)", CONFIG["metadata"]["classifiers"])
    jobs = yaml.safe_load(read(".github/workflows/test.yml"))["jobs"]
    assert jobs["linux"]["strategy"]["matrix"]["python"] == promised
    commands = [step["run"].split(" PYTHON")[0] for step in jobs["linux"]["steps"] if "run" in step]
    assert commands == ["make demo", "make test"]


def test_pre_commit_formats_as_the_tests_do():
    hooks = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    ruff = next(repo["rev"] for repo in hooks if "ruff" in repo["repo"])
    assert f"ruff=={ruff.removeprefix('v')}\n" in read("constraints.txt")


def test_the_extra_all_names_every_extra_of_users():
    extras = CONFIG["options.extras_require"]
    named = re.search(r"\[(.*)\]", extras["all"])[1].split(",")
    assert set(named) == set(extras) - {"all", "docs", "test"}
