"""What the README prints is what runs, and its numbers are those of the benchmarks."""

import re
from dataclasses import replace
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest

from sklearn_meg.cli import main
from sklearn_meg.encoding import _gate, _trees

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = re.findall(r"^    (make \w+)", README, re.MULTILINE)


def test_the_table_is_that_of_the_benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import make_readme

    assert make_readme.with_table(README) == README


@pytest.fixture
def short(monkeypatch):
    """Networks and trees of few steps: the lines are under test, not what they find."""
    few = {"n_networks": 2, "steps": 4, "most_epochs": 2, "epochs": 2}
    monkeypatch.setattr(_gate, "SETTINGS", replace(_gate.SETTINGS, **few))
    monkeypatch.setattr(_trees, "SETTINGS", replace(_trees.SETTINGS, n_trees=3))


def test_the_ten_lines_run_as_printed(short, capsys):
    assert len(BLOCKS[0].strip().splitlines()) <= 16
    exec(compile(BLOCKS[0], "README.md", "exec"), {})
    assert "max_epochs" in capsys.readouterr().out


def test_the_study_runs_as_printed(short):
    rng = np.random.default_rng(0)

    def epochs():
        info = mne.create_info(3, 50.0, "mag")
        words = pd.DataFrame(rng.normal(size=(12, 2)), columns=["word_length", "word_frequency"])
        data = 1e-13 * rng.normal(size=(12, 3, 40))
        return mne.EpochsArray(data, info, tmin=-0.2, metadata=words, verbose="error")

    found = {"epochs_1": epochs(), "epochs_2": epochs()}
    exec(compile(BLOCKS[1], "README.md", "exec"), found)
    assert {"trf", "dre"} <= set(found["study"].table_["model"])
    assert len(BLOCKS) == 2


def test_the_commands_are_those_of_the_makefile_and_of_ci():
    assert COMMANDS == ["make demo", "make test"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in COMMANDS:
        assert re.search(rf"^{command.split()[1]}:", makefile, re.MULTILINE)
    assert "exec make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)]+)\)", README))))
def test_every_link_leads_somewhere(target):
    assert (ROOT / target).exists()


def test_the_command_line_is_as_printed(capsys):
    (block,) = re.findall(r"```\n(sklearn-meg .*?)```", README, re.DOTALL)
    words = block.replace("\\\n", " ").split()[1:]
    assert main(words) != 0  # understood, and there are no such files here
    assert "no such file" in capsys.readouterr().err
