"""MEG to sources: solvers of the inverse problem, all with the same interface."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
