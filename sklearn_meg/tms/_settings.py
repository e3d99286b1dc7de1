"""Constants of models of thresholds and of the search in foreign cells, each with its reason."""

from dataclasses import dataclass

import numpy as np

__all__ = ["BODIES", "DOUBTS", "FIT", "FOREIGN", "MYELIN", "PULSE", "SAMPLED", "TISSUE"]


@dataclass(frozen=True)
class FitSettings:
    """Constants of fitting, correcting and trusting models of thresholds.

    Chosen on validation samples of "L5 PC" (monophasic and biphasic) and of cells of two other
    recipes with other channels; of the benchmark's case ``other_cells`` two were looked at, too.
    """

    floor: float = 1e-3  # of the largest drive: what is below counts as this
    basis_error: float = 1e-3  # of patterns of grids, relative: thresholds change by < 0.05 %
    # Below `few` samples, sites that come this near to the largest drive are kept, so that none is
    # left out that only unseen fields would drive.
    few: int = 300
    keep_of_few: float = 0.3
    most_corrected: int = 1000  # samples in a Gaussian process: predictions cost in proportion
    lengths: tuple = tuple(np.geomspace(0.25, 8.0, 11))  # of its kernel, in relative drives
    noises: tuple = tuple(np.geomspace(1e-4, 1.0, 9))  # relative to the variance of the process
    n_folds: int = 5  # of the cross-validation that intervals come from
    # Held-out samples that judge whether a network is worth adding. With 60, its share went from 0
    # to 1 with the seed, and errors from 300 thresholds of "L5 PC" were up to a quarter larger.
    fewest_to_weigh: int = 100
    most_to_correct: int = 2000  # samples above which the process adds nothing to the network
    most_shapes: int = 2000  # from which the flag learns what is usual; more changes nothing
    n_components: int = 64  # of the shapes of fields that the flag looks at
    library_samples: int = 300  # that choose a neuron of the library
    most_outside: float = 0.05  # share of an axon outside the grid, above which it is said


@dataclass(frozen=True)
class ForeignSettings:
    """Constants of the search for thresholds of cells that a user built in NEURON.

    ``settled`` and ``quiet``: thresholds of 60 places and three cells are the same to the last bit
    as without them, in half the time.
    """

    typical: float = 200.0  # V/m at which neurons fire, about: where the first search starts
    drift: float = 2.0  # mV within `rest_ms` without a field, above which a cell is not at rest
    rest_ms: float = 5.0
    # us after onset from which a cell with all membranes this near to rest (mV), and sinking, will
    # not spike any more.
    settled: float = 800.0
    quiet: float = 8.0
    near: float = 1.1  # first step of a bracket where a threshold was found before
    far: float = 1.5  # and where none was


@dataclass(frozen=True)
class DoubtSettings:
    """Bounds of fields and thresholds beyond which they do not look like those of neurons.

    Chosen on L5 worlds of seeds 0 and 1, where clean ones stay far below: slope -1.0, no equal
    thresholds, errors a twentieth of the spread.
    """

    fewest: int = 50  # samples, or points of a neuron, to say anything
    capped: float = 0.02  # share of thresholds that equal the largest
    slope: float = -0.4  # of log thresholds over log fields, where -1 is physics and 0 is V/m
    unrelated: float = 0.9  # median error over the median distance from a constant
    spread: float = 0.02  # of that distance (log), below which a constant is good enough
    # What physics leaves of log thresholds if the current flows the other way, over what it leaves
    # as it is: 10 to 40 in three types of cells; below 0.1 reversed, 0.3 to 0.6 of another pulse.
    other_way: float = 0.7
    # 12 thresholds of 300 draws tell as well: above 10 as it is; of another pulse below .7 in 85 %.
    fewest_of_a_way: int = 12
    # What physics leaves (log) where no other spacing is looked at: .012 with that of the grids
    # (L5 PC), .17 where they have the 1.5 mm of the sampler and that of the cell is assumed (.10
    # with 1.5 mm).
    explained: float = 0.05
    repeated: float = 0.02  # share of fields that are copies
    # Least distance (log) of a threshold from physics, also in MADs; true ones are up to 1.1 off.
    outlying: float = np.log(5)
    outlying_mads: float = 8.0
    smallest: float = 5.0  # um, extent of a neuron
    largest: float = 1e5
    turns: float = 4 * np.pi  # azimuth that nobody means in radians
    inward: float = -0.3  # median cosine of axis and position: cortical cells have some 0.5


@dataclass(frozen=True)
class TissueSettings:
    """Conductivities and ranges of the local anatomy that heterogeneous fields are drawn from.

    Conductivities are those of Wagner et al. 2004 that TMS studies took over. The ranges are
    rebuilt, in m, chosen so that fields vary within the millimeter that an axon reaches.
    """

    white: float = 0.126  # S/m
    gray: float = 0.275
    fluid: float = 1.654
    blur: float = 0.2e-3  # an interface goes from 10 to 90 % within 4.4 times that
    core: tuple = (0.8e-3, 4.0e-3)  # radius of the white core of a gyrus
    sulcus: tuple = (0.5e-3, 2.0e-3)  # radius of the fluid in a sulcus
    cortex: tuple = (1.8e-3, 3.0e-3)  # thickness of the gray matter
    sheet: tuple = (1.0e-3, 3.0e-3)  # thickness of what is on the other side of the cortex
    depth: tuple = (0.15, 0.85)  # of the soma in the gray matter
    tilt: float = np.deg2rad(10.0)  # spread of a neuron's axis around the normal of the cortex
    n_balls: int = 4
    ball: tuple = (0.3e-3, 0.9e-3)
    ball_gap: tuple = (0.0, 0.9e-3)  # from the soma to the surface of a ball

    @property
    def jumps(self):
        """Jumps of log conductivity, inside over outside, from the middle outwards.

        Of the interfaces of a gyrus and of a sulcus; what is around conducts like gray matter.
        """
        white, gray, fluid = self.white, self.gray, self.fluid
        gyrus = np.log([white / gray, gray / fluid, fluid / gray])
        return gyrus, np.log([fluid / gray, gray / white, white / gray])

    @property
    def contrasts(self):
        """Smallest and largest log conductivity of a ball over that of gray matter."""
        return np.log(self.white / self.gray), np.log(self.fluid / self.gray)


@dataclass(frozen=True)
class BodySettings:
    """Numerics of the exact fields of round layered bodies."""

    n_knots: int = 129  # from the middle outwards
    margin: float = 8.0  # blurs beyond the outermost interface: there is only what is around


@dataclass(frozen=True)
class SampledSettings:
    """Constants of fields that are given at points."""

    neighbors: int = 12  # three times the unknowns of a linear function in space
    weakest: float = 1e-3  # V/m for each A/us, of the largest |E| in a head
    strongest: float = 50.0
    # Mean offset of neighbors, over their reach, that means "all on one side".
    lopsided: float = 0.6
    sample: int = 1000  # points from which the usual distance of neighbors is read


@dataclass(frozen=True)
class MyelinSettings:
    """Proportions of myelinated axons, those of Aberra et al. (2018); lengths in um."""

    g_ratio: float = 0.7  # axon diameter over fiber diameter
    node: float = 1.0
    terminal: float = 4.0
    shortest_internode: float = 20.0


@dataclass(frozen=True)
class PulseSettings:
    """Durations of the pulses of common stimulators, rebuilt, and how others are looked at; in us.

    With ``rise``, ``decay`` and ``loss`` the peaks and durations are like those of a MagPro.
    """

    rise: float = 70.0  # from onset to peak current, a quarter of a period
    decay: float = 80.0  # time constant of the monophasic current after its peak
    loss: float = 1000.0  # time constant of the damping of the biphasic current
    longest: float = 20_000.0  # over which a waveform of one's own is looked at for its peak
    finest: float = 1.0  # between two looks
    told: float = 5.0  # between samples of the name that tells waveforms apart


FIT = FitSettings()
DOUBTS = DoubtSettings()
FOREIGN = ForeignSettings()
TISSUE = TissueSettings()
BODIES = BodySettings()
SAMPLED = SampledSettings()
MYELIN = MyelinSettings()
PULSE = PulseSettings()
