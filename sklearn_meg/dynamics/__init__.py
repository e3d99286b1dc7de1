"""States of brain activity, the graphs they are, and the ranked communities of these graphs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
