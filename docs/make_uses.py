"""Write the page of ordinary uses: ``python docs/make_uses.py``; tests run what it says."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from robustness.kinds import KINDS  # noqa: E402
from robustness.uses import USES, reason  # noqa: E402

HEAD = """.. Written by docs/make_uses.py.

What works with scikit-learn
============================

{n_uses} ordinary uses of scikit-learn and MNE, with {n_kinds} kinds of model; a test runs each
of them. A number is a use that is refused, and why is said below. Where a library takes 2-D X
only, a reshaping step stands before the model::

    from sklearn.preprocessing import FunctionTransformer

    def as_trials(X, shape):
        return X.reshape(len(X), *shape)

    model = make_pipeline(FunctionTransformer(as_trials, kw_args={{"shape": X.shape[1:]}}), encoder)
    BaggingRegressor(model).fit(X.reshape(len(X), -1), y.reshape(len(y), -1))

Encoders and regressors take y flat, too, which is what scikit-learn's own scorers, searches and
ensembles need.

"""


def page():
    """The text of the page."""
    reasons = list(dict.fromkeys(r for use in USES for k in KINDS if (r := reason(use, k))))
    lines = [HEAD.format(n_uses=len(USES), n_kinds=len(KINDS)), ".. list-table::"]
    lines += ["   :header-rows: 1", "   :class: uses", ""]
    lines += _row(["use", *(f":class:`~sklearn_meg.{kind}`" for kind in KINDS)])
    for use in USES:
        cells = [reason(use, kind) for kind in KINDS]
        cells = ["✔" if cell is None else f"({reasons.index(cell) + 1})" for cell in cells]
        lines += _row([use.__doc__.splitlines()[0].rstrip("."), *cells])
    lines += ["", *(f"{i}. {text[0].upper()}{text[1:]}." for i, text in enumerate(reasons, 1))]
    return "\n".join(lines) + "\n"


def _row(cells):
    return [f"   {'*' if i == 0 else ' '} - {cell}" for i, cell in enumerate(cells)]


if __name__ == "__main__":
    (HERE / "uses.rst").write_text(page(), encoding="utf-8")
