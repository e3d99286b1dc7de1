"""What scikit-learn's metadata routing hands to ``fit`` without being told."""

from inspect import signature


class RoutedGroups:
    """Ask for the `groups` of a ``fit`` that takes them, so that nested searches pass them on."""

    def __init_subclass__(cls, **kwargs):
        """Declare the request for each class, as scikit-learn reads it."""
        if hasattr(cls, "fit") and "groups" in signature(cls.fit).parameters:
            cls.__metadata_request__fit = {"groups": True}
        super().__init_subclass__(**kwargs)
