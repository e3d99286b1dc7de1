"""Numbers of the loaders and simulators that no data can decide, each with its reason."""

from dataclasses import dataclass

__all__ = ["TEMPLATE"]


@dataclass(frozen=True)
class TemplateSettings:
    """Limits of electrodes that are put on the head of fsaverage.

    farthest: Meters from its scalp: no head is so much larger or smaller. Centimeters and
        millimeters are beyond it.
    fewest: Electrodes below which no source can be told from another.
    """

    farthest: float = 0.04
    fewest: int = 4


TEMPLATE = TemplateSettings()
