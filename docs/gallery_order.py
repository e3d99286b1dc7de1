"""Order of the examples: by system, the first of each the one to begin with."""

ORDER = (
    "encoder_study",
    "two_scores",
    "trf",
    "continuous_speech",
    "penalty_of_a_trf",
    "weights_of_trials",
    "search_on_trials",
    "unusual_trials",
    "trials_of_unequal_length",
    "own_pipeline",
    "own_network",
    "study_of_arrays",
    "feature_importance",
    "auditory_sources",
    "what_if_events",
    "overlapping_events",
    "tms_thresholds",
    "coil_orientation",
    "own_neuron",
    "connectome_geodesics",
    "tract_distances",
    "nerve_stream",
    "window_of_a_decoder",
    "when_to_reject",
    "cost_of_a_gesture",
    "brain_states",
    "states_from_files",
    "rhythms_as_states",
    "state_spectra",
    "cluster",
)


class BySystem:
    """Sort key of sphinx-gallery."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, filename):
        """Place of an example; new ones come last."""
        name = filename.removeprefix("plot_").removesuffix(".py")
        return (ORDER.index(name) if name in ORDER else len(ORDER), name)
