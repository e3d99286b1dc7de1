"""Models of the TMS benchmark, by name."""

from sklearn_meg.tms import (
    PAPER_PARAMS,
    BoostedThreshold,
    CosineThreshold,
    PassiveThreshold,
    RidgeThreshold,
    ThresholdCNN,
    UniformFieldThreshold,
)

QUICK_DEEP = {"max_epochs": 4}
# The network of the paper takes some 25 times the multiplications of ours: few epochs, which end
# with a low learning rate, and only for L5.
PAPER_SHORT = {**PAPER_PARAMS, "max_epochs": 20, "schedule": "cosine"}
FIELD_ONLY = ("uniform", "uniform_mean", "cosine", "ridge", "hist_gb")
PHYSICS = ("physics_untrained", "physics_constants", "physics_gp")
OURS = ("default", "no_morphology")


class Untrained(PassiveThreshold):
    """Physics that looks at no threshold."""

    def fit(self, X, y=None, groups=None):
        """Take the constants of the built-in membranes, whatever `y` is."""
        return super().fit(X)


def make_model(name, cell, seed=0, quick=False, **options):
    """Model of a name, not fitted.

    name: ``default`` (network with the morphology), ``no_morphology``, ``paper``, or one of
        `PHYSICS` and `FIELD_ONLY`.
    cell (str or Morphology): Neuron, for those who know it.
    **options: ``pulse`` and ``spacing`` of models with physics; others of :class:`ThresholdCNN`.
    Returns model (estimator)
    """
    about = {key: options.pop(key) for key in ("pulse", "spacing") if key in options}
    if name in PHYSICS:
        kind = Untrained if name == "physics_untrained" else PassiveThreshold
        correction = "auto" if name == "physics_gp" else None
        return kind(morphology=cell, correction=correction, random_state=seed, **about)
    if name in FIELD_ONLY:
        return {
            "uniform": UniformFieldThreshold(),
            "uniform_mean": UniformFieldThreshold(field="mean"),
            "cosine": CosineThreshold(),
            "ridge": RidgeThreshold(),
            "hist_gb": BoostedThreshold(random_state=0),
        }[name]
    if quick:
        options |= QUICK_DEEP
    if name == "default":
        return ThresholdCNN(morphology=cell, random_state=seed, **about, **options)
    if name == "paper":
        options = {**PAPER_SHORT, **options}
    return ThresholdCNN(random_state=seed, **options)
