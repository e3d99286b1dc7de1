"""Editors and type checkers know every public name: planted mistakes are found, nothing else."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sklearn_meg

USER_CODE = Path(__file__).parent / "typing" / "user_code.py"
EVERY_NAME = "\n".join(f"from sklearn_meg import {name}" for name in sklearn_meg.__all__)


def planted(mark):
    lines = USER_CODE.read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, 1) if mark in line}


def run(*command, cwd):
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, cwd=cwd)
    return done.stdout


@pytest.mark.slow
def test_mypy_finds_the_planted_mistakes_only(tmp_path):
    # Reading the libraries takes most of the time, and scikit-learn has no type hints anyway.
    libraries = ("torch", "mne", "scipy", "sklearn", "skorch")
    config = tmp_path / "mypy.ini"
    config.write_text(
        "[mypy]\nignore_missing_imports = True\nfollow_imports = silent\n"
        f"[mypy-{','.join(f'{name}.*' for name in libraries)}]\nfollow_imports = skip\n"
    )
    options = ("--config-file", str(config), f"--cache-dir={tmp_path}")
    out = run("mypy", *options, str(USER_CODE), cwd=USER_CODE.parents[2])
    found = {int(line) for line in re.findall(r"user_code\.py:(\d+): error", out)}
    assert found == planted("# mistake:"), out


@pytest.mark.slow
def test_pyright_knows_every_name_and_finds_the_planted_mistakes_only(tmp_path):
    names = tmp_path / "every_name.py"
    names.write_text(EVERY_NAME)
    settings = {
        "include": [str(names), str(USER_CODE)],
        "typeCheckingMode": "standard",
        "reportUnknownVariableType": "error",
        "reportAttributeAccessIssue": "error",
        "extraPaths": [str(Path(sklearn_meg.__file__).parents[1])],
    }
    config = tmp_path / "pyrightconfig.json"
    config.write_text(json.dumps(settings))
    out = json.loads(
        run("basedpyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(config),
            cwd=tmp_path)
    )  # fmt: skip
    errors = out["generalDiagnostics"]
    unknown = [e["message"] for e in errors if e["file"].endswith(names.name)]
    assert unknown == [], "\n".join(unknown)
    mistakes = {
        e["range"]["start"]["line"] + 1
        for e in errors
        if e["file"].endswith(USER_CODE.name) and not e["rule"].startswith("reportUnknown")
    }
    assert mistakes == planted("# mistake")
