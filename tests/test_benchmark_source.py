"""The source benchmark: checks are lost where ours is worse, the oracle chooses by the truth."""

from types import SimpleNamespace

import numpy as np

from benchmarks.report import row
from benchmarks.source import checks
from benchmarks.source.peers import best_of
from benchmarks.source.real import hemisphere_peaks
from benchmarks.source.run import CASES, seed_of
from benchmarks.source.scores import Estimate


def rows_of(ours, peers):
    """One cell in which every metric has the given values."""
    values = {"default": ours, **peers}
    metrics = ("dle_mm", "nmse", "sd_mm", "emd_mm")
    return [row("1dip-5", m, metric, 0, v) for m, v in values.items() for metric in metrics]


def test_a_cell_is_lost_to_one_better_peer():
    won = checks.cell_checks(rows_of(5.0, {"mne": 20.0, "lcmv": 6.0}))
    lost = checks.cell_checks(rows_of(5.0, {"mne": 20.0, "lcmv": 3.0}))
    assert all(c["passed"] for c in won)
    assert {c["name"] for c in lost if not c["passed"]} == {
        "1dip-5: DLE - best peer's, mm",
        "1dip-5: NMSE / best peer",
        "1dip-5: EMD / best peer",
    }


def test_no_two_cells_share_a_seed():
    seeds = [seed_of(case, seed) for case in CASES for seed in range(50)]
    assert len(set(seeds)) == len(seeds)


def test_the_oracle_takes_the_nearest_peak():
    line = np.array([[0.01 * index, 0.0, 0.0] for index in range(6)])
    data = SimpleNamespace(
        forward={"source_rr": line},
        positions=line[2:3],
        source_positions=line[2:3],
        source_map=lambda: np.ones((1, 4)),
        active=np.ones(4, dtype=bool),
    )

    def at(position, blur=0.0):
        sources = np.full((6, 3, 4), blur)
        sources[position, 0] = 1.0
        return Estimate(sources, None, 0.0, f"{position}, {blur}")

    far, blurred, focal = at(5), at(2, blur=0.1), at(2)
    assert best_of(data, [far, blurred]).setting == blurred.setting
    # The same peak: the map with less energy elsewhere.
    assert best_of(data, [blurred, far, focal]).setting == focal.setting


def test_peaks_are_taken_in_each_hemisphere_and_inside_the_window():
    positions = np.array([[-40.0, 0, 0], [40.0, 0, 0], [50.0, 0, 0]])
    times = np.array([0.0, 0.1, 0.2, 0.3])
    sources = np.array([[0, 0, 0, 0], [9, 1, 2, 9], [0, 3, 1, 0]], dtype=float)
    peaks = hemisphere_peaks(positions, sources, times, (0.05, 0.25))
    assert set(peaks) == {"rh"}
    assert peaks["rh"][0][0] == 50.0 and peaks["rh"][1] == 0.1
