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
            "Many samples are unlike those of fit (is_unusual): predictions may be meaningless.",
            "Compare how both were recorded and prepared, or fit again with such samples.",
        ),
        repeated_trials=(
            "Trials occur more than once, so held-out trials were seen in training and scores are "
            "too good.",
            "Use each trial once, or give copies the same group and split by groups.",
        ),
        other_version=(
            "A model was saved by another version, whose predictions may differ.",
            "Compare its predictions with those that you trust, or fit it again.",
        ),
    ),
    **_of(
        "Encoding",
        small_features=(
            "Features are so small that even the smallest penalty shrinks their coefficients to "
            "nothing.",
            "Scale the features (ChannelScaler) or try smaller alphas.",
        ),
        artifacts=(
            "A few trials are so large that they dominate the fit.",
            "Leave them out, mask them (pack_rows), or clip them (ChannelScaler(clip=16)).",
        ),
        padding=(
            "Trials seem to be padded with zeros, which are fitted as if they were measured.",
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
            "The power before the onset does not match noise_cov and the number of trials.",
            "Compute noise_cov from these data, check the onset and nave.",
        ),
        noise_rank=(
            "The data have another rank than noise_cov, which was then processed differently.",
            "Compute noise_cov from these data, after the same Maxwell filter and projections.",
        ),
        noise_samples=(
            "The noise covariance is estimated from too few samples for its channels. The search "
            "for dipoles shrinks it; positions are less certain.",
            "Compute noise_cov from more trials or a longer baseline: five samples per channel.",
        ),
        no_source=(
            "No source explains more of the data than noise would.",
            "Give single trials instead of averages, begin the window before the event, and check "
            "noise_cov and nave; alpha in percent or n_sources always leave a source.",
        ),
        lead_field=(
            "What the sources leave is more than noise: the forward model is not of this head, "
            "position or order of channels, its positions are far apart, or sources are missing. "
            "Positions are less certain.",
            "Check co-registration, conductor, channels, units, and the grid (10 mm or less); read "
            "dipole_volumes_, and doubt sources with the course of a stronger one.",
        ),
        few_trials=(
            "Some sources occur in a few trials only, as blinks and other artifacts do.",
            "Inspect these trials; reject them, or remove the artifact by SSP or ICA first.",
        ),
        told_sources=(
            "The sources that n_sources asks for explain no more than noise, or are too few.",
            "Ask for fewer, or doubt those with evidence_ below 1.",
        ),
        current_size=(
            "Currents have a size that no brain produces: the units of y and forward do not match.",
            "Give y in T, T/m and V, as MNE does.",
        ),
    ),
    **_of(
        "TMS",
        field_units=(
            "Fields or thresholds differ by orders of magnitude from those of stimulation, or of "
            "fit.",
            "Give fields in V/m per A/us and thresholds in A/us.",
        ),
        capped_thresholds=(
            "Many thresholds equal the largest one: probably the amplitude at which the search "
            "ended.",
            "Put NaN where no threshold was found; NaN is ignored.",
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
        grid_spacing=(
            "Neighbors in the grids of X seem to be at another distance than the model assumes.",
            "Give EFieldSampler and the model one spacing: spacing=grid_spacing('L5 PC').",
        ),
        outlying_thresholds=(
            "Some thresholds are several times those of all others, relative to physics.",
            "Simulate them again, or put NaN there; NaN is ignored.",
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
            "Most axes point into the head, but apical dendrites of cortical cells point outward.",
            "Give the axis from the soma to the apical dendrites, or turn the normals of the mesh.",
        ),
        outside_grid=(
            "Part of the axon lies outside the grid; the field at the surface of the grid is used "
            "there.",
            "Give the spacing of the grids, or sample larger ones.",
        ),
        repaired_morphology=(
            "A morphology file was damaged or unusual and was repaired.",
            "Inspect the neuron before you use its thresholds.",
        ),
        not_at_rest=(
            "A neuron is not at rest without a field, so its thresholds depend on the time of the "
            "pulse.",
            "Give another v_init, or a settling time (ms).",
        ),
    ),
    **_of(
        "Connectome",
        not_unit_length=(
            "Directions are not of unit length, and were divided by it.",
            "Check that the array holds directions and is read with the right scale.",
        ),
        axis_order=(
            "Directions are more continuous from voxel to voxel with axes in another order or "
            "reversed.",
            "Check the order and the signs of the axes.",
        ),
        fields_alike=(
            "Fields of most voxels that have several are nearly parallel: they are no fibers that "
            "cross, but subjects, scans or copies, which are taken for fibers of one brain.",
            "Fit one metric a subject (X[k : k + 1]).",
        ),
        off_fibers=(
            "Directions are far from those of the nearest fiber; geodesics from there are not "
            "reliable.",
            "Give directions of fibers, along the axes of the world (X has them along the grid), "
            "or use follow.",
        ),
        other_basis=(
            "Orientation distributions are clearly less negative in another basis of harmonics.",
            "State which software wrote them: basis='dipy' or basis='mrtrix'.",
        ),
        random_directions=(
            "Neighboring directions differ as random ones do: there are no lines to follow.",
            "Leave out voxels without a clear direction (min_fa), or check the order of axes.",
        ),
        outside_mask=(
            "Regions are too far from the mask to be reached; their rows are NaN.",
            "Check that regions and mask are in the same space.",
        ),
    ),
    **_of(
        "Nerve",
        signal_units=(
            "Signals are a thousand times larger or smaller than in fit: more than any drift.",
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
            "Channels are often at their largest value: the amplifier saturates.",
            "Lower the gain, or leave these channels out.",
        ),
        mains_hum=(
            "A sine of 50 or 60 Hz is most of the signal: hum of the mains.",
            "Filter it out, in all recordings alike; check ground and cables.",
        ),
        undecidable=(
            "Held-out trials are decided hardly better than by chance.",
            "Check that y belongs to the trials of X, their onsets, and the sampling rate.",
        ),
        doubtful_labels=(
            "Many held-out trials are decided with certainty against their labels.",
            "Check the labels of these trials, and the order of trials.",
        ),
        raw_signals=(
            "X is taken for features, but looks like raw signals.",
            "Give sfreq, so that features are computed.",
        ),
        unusual_session=(
            "Most trials are unlike those of fit, and the model does not adapt to them.",
            "Check electrodes and units; give new sessions their own number, and set adaptation.",
        ),
    ),
    **_of(
        "Dynamics",
        doubtful_states=(
            "States are single recordings, nearly empty, not found again in halves of the data, or "
            "those of noise that depends on its past.",
            "Inspect recording_samples_ and generalization_, align recordings, or fit fewer "
            "states.",
        ),
        states_in_rhythm=(
            "States differ in rhythm, which means and covariances do not describe.",
            "Use emission='mar', or TimeDelayEmbedding before the model.",
        ),
        unlike_recordings=(
            "Recordings are much less likely than the others under the states of the others.",
            "Inspect them (usual_features_), and leave them out if they are not of the same kind.",
        ),
        unusual_recordings=(
            "A single state explains new recordings nearly as well as the states of fit, which "
            "they do not seem to have.",
            "Compare units, signs and order of regions with those of fit, align recordings "
            "(align='covariance'), or fit again with such recordings.",
        ),
        slow_drift=(
            "Regions drift over whole recordings, so that states may be stretches of time.",
            "High-pass filter each recording (mne.filter.filter_data); detrending is not enough.",
        ),
        repeated_samples=(
            "Samples repeat the ones before in all regions, and form a state of their own.",
            "Put NaN there and set missing='mask', or use the original sampling rate.",
        ),
        transposed=(
            "A recording has more regions than samples, as if it were transposed.",
            "Transpose recordings whose shape differs from the documented one of X.",
        ),
        doubtful_selection=(
            "Criteria disagree about the number of states, or choose one at the edge.",
            "Inspect the table of the selection, and try other numbers of states.",
        ),
    ),
    **_of(
        "Studies",
        random_folds=(
            "Folds differ in every run, so no result in the cache_dir can be reused.",
            "Give the splitter a random_state.",
        ),
        leaked_trials=(
            "Copies of a trial are in both training and test set, so scores are too good.",
            "Use each trial once, or give copies the same group.",
        ),
        overlapping_trials=(
            "Trials cut from the same samples are in both training and test set.",
            "Give spans (and recordings), so that they are left out, or cut shorter trials.",
        ),
        same_subject=(
            "Two subjects have the same trials: one person counts twice.",
            "Include each person once, and check the files.",
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
            "Times look like milliseconds, so lags and the onset are misinterpreted.",
            "Give seconds.",
        ),
        response_in_features=(
            "A row of X is a channel of the response, so the response predicts itself.",
            "Leave the row out of X; initial windows are made by pack_rows.",
        ),
        drifting_features=(
            "Features drift over trials, as recordings do, and test trials lie among training "
            "trials: both correlate by chance.",
            "Leave out neighboring trials together: an int as cv, or groups of runs.",
        ),
        runs_as_subjects=(
            "Files whose names differ in run or session only count as subjects of their own, so "
            "intervals and p-values are of more people than there are.",
            "Say what in the name is the subject: --subject-from-name '^([^_-]+)' takes what is "
            "before the first _ or -.",
        ),
        number_codes=(
            "A column holds a few consecutive integers, which may be codes of categories.",
            "For categories use a formula with C(name), or text; for numbers the formula 'name'.",
        ),
    ),
}

#: What each code means and what to do, an :class:`Assumption` by code.
ASSUMPTIONS: Mapping[str, Assumption] = MappingProxyType(_CODES)


class AssumptionWarning(UserWarning):
    """The data violate an assumption of the model: its results may be wrong.

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
