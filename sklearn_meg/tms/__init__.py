"""Fields of TMS coils, neurons under them, and how strong a pulse must be for a spike."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
