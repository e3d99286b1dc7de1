"""Fields of TMS coils, neurons under them, and how strong a pulse must be for a spike."""

from importlib import import_module

_WHERE = {
    "CELL_TYPES": ".neurons",
    "PAPER_PARAMS": ".threshold_cnn",
    "BoostedThreshold": "._baselines",
    "Coil": ".coil",
    "CosineThreshold": "._baselines",
    "EFieldSampler": ".sampler",
    "HeterogeneousField": ".field",
    "Kind": ".neurons",
    "Morphology": ".neurons",
    "RidgeThreshold": "._baselines",
    "SampledField": ".field",
    "SphereField": ".field",
    "ThresholdCNN": ".threshold_cnn",
    "UniformFieldThreshold": "._baselines",
    "activation_threshold": "._neuron_sim",
    "draw_placements": ".field",
    "figure8_coil": ".coil",
    "grid_points": ".field",
    "grid_spacing": ".neurons",
    "load_l5_thresholds": "._ready",
    "load_tms_dataset": ".generate",
    "make_neuron": ".neurons",
    "make_tms_dataset": ".generate",
    "myelinate": ".neurons",
    "placement_rows": ".field",
    "pulse_waveform": "._pulses",
    "read_swc": ".neurons",
    "round_coil": ".coil",
    "to_head": ".field",
    "to_neuron": ".field",
    "write_swc": ".neurons",
}
__all__ = list(_WHERE)


def __getattr__(name):
    if name in _WHERE:
        return getattr(import_module(_WHERE[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
