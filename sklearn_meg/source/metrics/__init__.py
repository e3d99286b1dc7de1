"""Scores of source estimates whose truth is known, and what can be said without it.

Positions are in m, distances come back in mm. A source estimate is ``(n_positions, n_times)``,
signed or the length of a vector, or ``(n_positions, 3, n_times)`` as in mne's
``VectorSourceEstimate``. Its unit does not matter, so maps of dSPM or of a beamformer can be
compared with dipole moments.
"""

from .courses import (
    false_positive_ratio,
    field_correlation,
    nmse,
    output_snr,
    time_course_correlation,
)
from .peaks import find_peaks, hit_rate, localization_error, match_sources, source_strength
from .spread import earth_movers_distance, spatial_dispersion

__all__ = [
    "earth_movers_distance",
    "false_positive_ratio",
    "field_correlation",
    "find_peaks",
    "hit_rate",
    "localization_error",
    "match_sources",
    "nmse",
    "output_snr",
    "source_strength",
    "spatial_dispersion",
    "time_course_correlation",
]
