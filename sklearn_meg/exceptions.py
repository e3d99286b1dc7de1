"""Warnings that say which assumption the data break, and what helps.

Every code of :data:`ASSUMPTIONS` is explained on the page "What this warning means".
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ASSUMPTIONS", "Assumption", "AssumptionWarning"]


@dataclass(frozen=True)
class Assumption:
    """Entry of a code of :class:`AssumptionWarning`.

    Parameters
    ----------
    system : str
        The system that warns, or "All estimators".
    meaning : str
        The finding in the data, and what is wrong if it is not mended.
    remedy : str
        What to do.

    Examples
    --------
    >>> from sklearn_meg.exceptions import ASSUMPTIONS
    >>> ASSUMPTIONS["field-units"].system
    'TMS'
    """

    system: str
    meaning: str
    remedy: str


def _of(system, **codes):
    """Entries of one system: (meaning, remedy) by code, underscores for hyphens."""
    return {code.replace("_", "-"): Assumption(system, *texts) for code, texts in codes.items()}


_CODES = {
    **_of(
        "All estimators",
        one_group=(
            "All trials are of one group, so the best epoch is chosen on trials of that group.",
            "Give trials of several groups, or hold the last trials out (validation_split='last').",
        ),
        unusual_samples=(
            "Many samples are unlike those of fit (is_unusual): predictions may mean nothing.",
            "Compare how both were recorded and prepared, or fit again with such samples.",
        ),
        repeated_trials=(
            "Trials occur more than once, so held-out ones are known and fits look too good.",
            "Take each trial once, or give copies one group and split by groups.",
        ),
        other_version=(
            "A model was written by another version, whose predictions may differ.",
            "Compare its predictions with those that you trust, or fit it again.",
        ),
    ),
    **_of(
        "Encoding",
        small_features=(
            "Features are so small that the least penalty leaves nothing of their coefficients.",
            "Scale the features (ChannelScaler) or try smaller alphas.",
        ),
        artifacts=(
            "A few trials are so large that they decide the fit.",
            "Leave them out, mask them (pack_rows), or clip them (ChannelScaler(clip=16)).",
        ),
        padding=(
            "Trials seem to be filled up with zeros, which are fitted as if they were measured.",
            "Give lists of trials to pack_rows and pad_trials, which make a mask.",
        ),
    ),
    **_of(
        "Source",
        bad_channels=(
            "Channels do not look like measurements and were left out.",
            "Mark them as bad in the data; with find_bad_channels=False they are kept.",
        ),
        noise_power=(
            "The power before the onset is not what noise_cov and the number of trials say.",
            "Compute noise_cov from these data, check the onset and nave.",
        ),
        noise_rank=(
            "The data have another rank than noise_cov, which is then of other processing.",
            "Compute noise_cov from these data, after the same Maxwell filter and projections.",
        ),
        noise_samples=(
            "The noise covariance is of fewer samples than channels: most of it is a guess. The "
            "search for dipoles shrinks it; places are less sure.",
            "Compute noise_cov from more trials or a longer baseline, five samples a channel.",
        ),
        no_source=(
            "No source explains more of the data than noise would.",
            "Give single trials instead of averages, begin the window before the event, and check "
            "noise_cov and nave; alpha in percent or n_sources always leave a source.",
        ),
        lead_field=(
            "What the sources leave is more than noise: the forward model is not of this head, "
            "position or order of channels, or sources are missing. Places are less sure.",
            "Check co-registration, conductor, channels and units; read dipole_volumes_, and doubt "
            "sources with the course of a stronger one.",
        ),
        few_trials=(
            "Some sources are in a few trials only, as blinks and other accidents are.",
            "Look at these trials; reject them, or remove the artifact by SSP or ICA before.",
        ),
        told_sources=(
            "Sources that n_sources asks for explain no more than noise, or it leaves some out.",
            "Ask for fewer, or doubt those with evidence_ below 1.",
        ),
        current_size=(
            "Currents are of a size that no brain makes: y and forward are in other units.",
            "Give y in T, T/m and V, as MNE does.",
        ),
    ),
    **_of(
        "TMS",
        field_units=(
            "Fields or thresholds are orders of magnitude from those of stimulation, or of fit.",
            "Give fields in V/m per A/us and thresholds in A/us.",
        ),
        capped_thresholds=(
            "Many thresholds are exactly the largest one: amplitudes at which the search ended.",
            "Put NaN where no threshold was found; it counts for nothing.",
        ),
        not_inverse=(
            "Thresholds do not fall as fields grow: they are not factors of these fields.",
            "Give y in A/us, not as V/m at the soma, in the order of the rows of X.",
        ),
        unrelated_thresholds=(
            "Thresholds of held-out fields are predicted no better than by one constant.",
            "Check that rows of X and y, morphology and spacing belong together.",
        ),
        reversed_current=(
            "Thresholds are those of another direction of the current, or of another pulse.",
            "Check the sign of the fields, and that pulse is the one that was simulated.",
        ),
        outlying_thresholds=(
            "Some thresholds are several times those of all others, relative to physics.",
            "Simulate them again, or put NaN there; they count for nothing.",
        ),
        morphology_units=(
            "A neuron is far smaller or larger than neurons are.",
            "Give coordinates and diameters in micrometers.",
        ),
        azimuth_degrees=(
            "Azimuths exceed several turns, as if they were degrees.",
            "Give azimuths in radians.",
        ),
        inward_axes=(
            "Most axes point into the head, but dendrites of cortical cells point outward.",
            "Give the axis from the soma to the apical dendrites, or turn the normals of the mesh.",
        ),
        outside_grid=(
            "Part of the axon lies outside the grid, where the field at its surface is taken.",
            "Give the spacing of the grids, or sample larger ones.",
        ),
        repaired_morphology=(
            "A file of a morphology was damaged or unusual and was repaired.",
            "Look at the neuron before thresholds of it are used.",
        ),
        not_at_rest=(
            "A neuron moves without a field, so its thresholds depend on when the pulse comes.",
            "Give another v_init, or a time to settle (ms).",
        ),
    ),
    **_of(
        "Connectome",
        not_unit_length=(
            "Directions are not of unit length, and were divided by it.",
            "Check that the array holds directions and is read with the right scale.",
        ),
        axis_order=(
            "Directions go on better from voxel to voxel with axes in another order or reversed.",
            "Check the order and the signs of the axes.",
        ),
        off_fibers=(
            "Directions are far off the nearest fiber, and geodesics from there mean little.",
            "Give directions of fibers, or use follow.",
        ),
        other_basis=(
            "Orientation distributions are clearly less negative in another basis of harmonics.",
            "Say which software wrote them: basis='dipy' or basis='mrtrix'.",
        ),
        random_directions=(
            "Neighboring directions differ as random ones do: there are no lines to follow.",
            "Leave out voxels without a clear direction (min_fa), or look at the order of axes.",
        ),
        outside_mask=(
            "Regions are too far from the mask to be reached; their rows are NaN.",
            "Check that regions and mask are of the same space.",
        ),
    ),
    **_of(
        "Nerve",
        signal_units=(
            "Signals are a thousand times larger or smaller than in fit: no drift does that.",
            "Give both in the same unit.",
        ),
        turned_ring=(
            "The ring of electrodes seems turned, and was turned back.",
            "Check the electrodes, or calibrate with labeled trials.",
        ),
        doubtful_session=(
            "Decisions of a session are probably wrong.",
            "Calibrate with labeled trials, or train again.",
        ),
        lost_channels=(
            "Channels carry no signal; their trials are decided without them.",
            "Check the electrodes.",
        ),
        saturated=(
            "Channels are often at the largest value that they have: the amplifier cuts them off.",
            "Lower the gain, or leave these channels out.",
        ),
        undecidable=(
            "Trials left out of fit are hardly decided as they are labeled.",
            "Check that y belongs to the trials of X, their onsets, and the sampling rate.",
        ),
        doubtful_labels=(
            "Many trials left out of fit are surely decided otherwise than they are labeled.",
            "Look at the labels of these trials, and at the order of trials.",
        ),
        raw_signals=(
            "X is taken for features, but looks like raw signals.",
            "Give sfreq, so that features are computed.",
        ),
        unusual_session=(
            "Most trials are unlike those of fit, and nothing adapts to them.",
            "Check electrodes and units; give new sessions a number of their own, and adaptation.",
        ),
    ),
    **_of(
        "Dynamics",
        doubtful_states=(
            "States are recordings, nearly empty, or do not return when halves are fitted alone.",
            "Look at recording_samples_ and generalization_, align recordings, or ask for fewer.",
        ),
        states_in_rhythm=(
            "States differ in rhythm, of which the means and covariances of a state know nothing.",
            "Use emission='mar', or TimeDelayEmbedding before the model.",
        ),
        unlike_recordings=(
            "Recordings are much less likely than the others under the states of these.",
            "Look at them (usual_features_), and leave them out if they are not of the same kind.",
        ),
        slow_drift=(
            "Regions drift over whole recordings, so that states may be stretches of time.",
            "High-pass filter each recording (mne.filter.filter_data); to detrend is not enough.",
        ),
        repeated_samples=(
            "Samples repeat the ones before in all regions, and make a state of their own.",
            "Put NaN there and set missing='mask', or go back to the rate of the recording.",
        ),
        transposed=(
            "A recording has more regions than samples, as if it were transposed.",
            "Transpose recordings of other shapes than the documentation of X says.",
        ),
        doubtful_selection=(
            "Criteria disagree about the number of states, or choose one at the edge.",
            "Look at the table of the selection, and try other numbers of states.",
        ),
    ),
    **_of(
        "Studies",
        random_folds=(
            "Folds are others in every run, so nothing in the cache_dir can be found again.",
            "Give the splitter a random_state.",
        ),
        leaked_trials=(
            "Copies of the same trial are in both halves of a fold, so scores are too good.",
            "Take each trial once, or give copies one group.",
        ),
        overlapping_trials=(
            "Trials were cut from the same samples and stand on both sides of a fold.",
            "Give spans (and recordings), so that they are left out, or cut shorter trials.",
        ),
        same_subject=(
            "Two subjects hold the same trials: one person counts twice.",
            "Name each person once, and check the files.",
        ),
        mixed_units=(
            "The responses of one subject are orders of magnitude larger than those of another.",
            "Give all in the same unit.",
        ),
        odd_channels=(
            "A few channels are much larger than the others of their type.",
            "Mark them as bad, and interpolate them or leave them out.",
        ),
        time_unit=(
            "Times look like milliseconds, so lags and the onset are read wrong.",
            "Give seconds.",
        ),
        response_in_features=(
            "A row of X is a channel of the response, so the response predicts itself.",
            "Leave the row out of X; initial windows are made by pack_rows.",
        ),
        drifting_features=(
            "Features drift over trials, as recordings do, and test trials lie among training "
            "trials: both go together by chance.",
            "Leave out neighboring trials together: an int as cv, or groups of runs.",
        ),
        number_codes=(
            "A column holds few whole numbers in a row, which may be codes of categories.",
            "For categories use a formula with C(name), or text; for numbers the formula 'name'.",
        ),
    ),
}

#: What each code means and what to do, an :class:`Assumption` by code.
ASSUMPTIONS: Mapping[str, Assumption] = MappingProxyType(_CODES)


class AssumptionWarning(UserWarning):
    """The data break an assumption of the model: what it says may be wrong.

    Parameters
    ----------
    message : str
        What was found.
    code : str
        A code of :data:`ASSUMPTIONS`.
    remedy : str or None, default=None
        What to do; None is the remedy of the code.

    Attributes
    ----------
    code : str
        A code of :data:`ASSUMPTIONS`.
    remedy : str
        What to do.

    Raises
    ------
    ValueError
        For a code that is not documented.

    Examples
    --------
    >>> import warnings
    >>> from sklearn_meg.exceptions import AssumptionWarning
    >>> warnings.simplefilter("error", AssumptionWarning)  # never overlook one
    >>> warnings.simplefilter("default", AssumptionWarning)
    >>> AssumptionWarning("Signals are 1e6 times as large as in fit.", "signal-units").remedy
    'Give both in the same unit.'
    """

    def __init__(self, message: str, code: str, remedy: str | None = None) -> None:
        if code not in ASSUMPTIONS:
            raise ValueError(f"code must be one of {', '.join(ASSUMPTIONS)}. Got {code!r}.")
        super().__init__(message, code, remedy)  # these make it anew when it is unpickled
        self.message, self.code = message, code
        self.remedy = ASSUMPTIONS[code].remedy if remedy is None else remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy} [{self.code}]"
