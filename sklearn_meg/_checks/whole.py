"""A fit that fails or is interrupted leaves the estimator as it was."""

from __future__ import annotations

from functools import wraps
from inspect import isfunction


class WholeFit:
    """``fit`` and ``partial_fit`` of subclasses are all or nothing.

    Learned attributes are replaced one by one. After Ctrl-C or an error between two of them a model
    would predict with some of the old and some of the new, so all are put back.
    """

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        for name in ("fit", "partial_fit"):
            if isfunction(cls.__dict__.get(name)):
                setattr(cls, name, _all_or_nothing(cls.__dict__[name]))


def _all_or_nothing(method):
    @wraps(method)
    def whole(self, *args, **kwargs):
        before = dict(self.__dict__)
        try:
            return method(self, *args, **kwargs)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    return whole
