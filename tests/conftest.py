"""Data that several tests share."""

import os
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from sklearn_meg import pack_rows

# Where numba is installed mne compiles its loops, which takes longer than these tests.
os.environ.setdefault("MNE_USE_NUMBA", "false")
# Real recordings, where a developer has them; benchmarks look there, too.
os.environ.setdefault("SKLEARN_MEG_DATA", str(Path(__file__).parents[2] / "shared" / "data"))
collect_ignore = ["typing"]  # read by type checkers, not run
matplotlib.use("Agg")
matplotlib.rcParams["figure.max_open_warning"] = 0  # doctests leave theirs open


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


@pytest.fixture(scope="session")
def words():
    """A small linear world: 3 subjects x 20 trials, 2 features, 4 channels, 40 samples."""
    rng = np.random.default_rng(0)
    n, n_times = 60, 40
    subjects = np.arange(n) % 3
    features = rng.normal(size=(n, 2, n_times))
    kernel = rng.normal(size=(4, 2, 5))
    meg = 0.3 * rng.normal(size=(n, 4, n_times))
    for lag in range(5):
        meg[:, :, lag:] += np.einsum(
            "cf,nft->nct", kernel[..., lag], features[:, :, : n_times - lag]
        )
    meg *= 1 + subjects[:, None, None] / 2
    return features, meg, subjects


@pytest.fixture(scope="session")
def packed(words):
    """The same as (X, y, rows, subjects), X with subject row and initial MEG."""
    features, meg, subjects = words
    X, rows = pack_rows(features, subjects=subjects, initial=meg, n_initial=6)
    return X, meg, rows, subjects


@pytest.fixture(scope="session")
def real_data():
    """Folder of real recordings; the test is skipped where it is absent."""
    folder = Path(os.environ["SKLEARN_MEG_DATA"])
    if not folder.is_dir():
        pytest.skip(f"no real recordings at {folder} (set SKLEARN_MEG_DATA)")
    return folder


def pytest_terminal_summary(terminalreporter):
    """Print how many docstrings ran as doctests."""
    passed = terminalreporter.stats.get("passed", [])
    n = sum(report.nodeid.startswith("sklearn_meg/") for report in passed)
    terminalreporter.write_line(f"{n} docstrings with examples passed")
