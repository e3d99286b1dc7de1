"""Every ordinary use with every kind of model: works, or is refused as the page of uses says."""

import sys
from pathlib import Path

import pytest

from robustness.kinds import KINDS, Use
from robustness.uses import USES, reason

pytestmark = [
    pytest.mark.filterwarnings("ignore:Do not trust these states"),
    pytest.mark.filterwarnings("ignore:These may not be the states"),  # more than are asked for
    pytest.mark.filterwarnings("ignore:.* occur more than once"),  # bagging draws copies
    pytest.mark.filterwarnings("ignore:All trials are of one group"),
]


@pytest.fixture(scope="module", params=KINDS)
def use(request):
    return Use(request.param)


@pytest.mark.parametrize("run", USES, ids=lambda f: f.__name__)
def test_use(use, run):
    if reason(run, use.kind) is None:
        run(use)
        return
    with pytest.raises(Exception):  # noqa: B017 - of any library
        run(use)


def test_the_page_says_so(monkeypatch):
    docs = Path(__file__).parents[1] / "docs"
    monkeypatch.syspath_prepend(str(docs))
    monkeypatch.setattr(sys, "path", sys.path[:])
    import make_uses

    assert (docs / "uses.rst").read_text(encoding="utf-8") == make_uses.page()
