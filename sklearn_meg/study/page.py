"""One self-contained HTML page: text, sortable tables, figures; for screens, phones, paper."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from datetime import date
from html import escape
from itertools import pairwise

import numpy as np

from .._saving.store import write_whole
from .._version import __version__

HOME = "sklearn_meg"
CSS = """
:root {--ink:#1b1f24; --soft:#5a6470; --line:#dfe4ea; --accent:#0072B2; --wash:#f3f7fa}
* {box-sizing: border-box}
body {margin: 0; color: var(--ink); background: #fff; line-height: 1.5;
 font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif}
header, main, footer {max-width: 72rem; margin: 0 auto; padding: 0 1.25rem}
header {padding-top: 1.5rem}
h1 {font-size: clamp(1.35rem, 4.5vw, 2rem); line-height: 1.2; margin: 0 0 .75rem;
 overflow-wrap: anywhere}
h2 {font-size: 1.2rem; margin: 2.25rem 0 .5rem; padding-top: .5rem;
 border-top: 1px solid var(--line)}
.verdict {background: var(--wash); border-left: 4px solid var(--accent); padding: .75rem 1rem;
 margin: 0 0 1rem}
.verdict p {margin: .25rem 0} .verdict p:first-child {font-size: 1.08rem; font-weight: 600}
nav {display: flex; flex-wrap: wrap; gap: .25rem 1rem; font-size: .9rem}
a {color: var(--accent)}
.note, figcaption {color: var(--soft); font-size: .9rem; max-width: 48rem}
.wide {overflow-x: auto; max-height: 34rem; margin: .5rem 0 1rem}
table {border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums}
th {position: sticky; top: 0; background: #fff; border-bottom: 2px solid var(--ink);
 white-space: nowrap}
th, td {padding: .3rem .7rem; text-align: right; vertical-align: top}
td {white-space: nowrap}
td {border-bottom: 1px solid var(--line)} tbody tr:hover td {background: var(--wash)}
.text {text-align: left} td.text {white-space: nowrap}
.facts td.text {white-space: normal; overflow-wrap: anywhere}
.facts td.text:first-child {white-space: nowrap; color: var(--soft)}
th button {all: unset; cursor: pointer} th button:focus-visible {outline: 2px solid var(--accent)}
th[aria-sort=ascending] button::after {content: " \\2191"}
th[aria-sort=descending] button::after {content: " \\2193"}
figure {margin: .75rem 0 1.25rem}
.over {position: relative; width: max-content; max-width: 100%}
figure img {display: block; max-width: 100%; height: auto}
.spot {position: absolute} .spot:hover {border-left: 1px solid var(--accent)}
pre.paste {white-space: pre-wrap; overflow-wrap: anywhere; font: inherit; background: var(--wash);
 padding: .75rem 1rem; margin: .5rem 0}
code {overflow-wrap: anywhere; font-size: .85rem}
summary {cursor: pointer; color: var(--accent)}
footer {color: var(--soft); font-size: .85rem; margin-top: 2.5rem; padding-bottom: 2rem}
@media (max-width: 600px) {
 header, main, footer {padding-left: .9rem; padding-right: .9rem}
 th, td {padding: .25rem .45rem} .wide {max-height: none}
 .broad {overflow-x: auto} .broad .over {max-width: none}
 .broad img {min-width: 34rem; max-width: none}
 .facts td.text:first-child {white-space: normal; overflow-wrap: normal}
}
@media print {
 nav, summary {display: none} .wide {overflow: visible; max-height: none} body {font-size: 11px}
 h2, figure, tr {break-inside: avoid} .broad img {min-width: 0; max-width: 100%}
}
"""
SCRIPT = """
document.querySelectorAll("th button").forEach(button => button.addEventListener("click", () => {
  const head = button.parentElement, table = head.closest("table"), body = table.tBodies[0];
  const column = [...head.parentElement.children].indexOf(head);
  const down = head.getAttribute("aria-sort") === "ascending";
  table.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const value = row => { const cell = row.cells[column];
    const number = parseFloat(cell.dataset.value);
    return Number.isNaN(number) ? cell.textContent : number; };
  const order = (a, b) => { const [x, y] = [value(a), value(b)];
    return typeof x === typeof y ? (x > y) - (x < y) : typeof x === "number" ? -1 : 1; };
  [...body.rows].sort((a, b) => down ? order(b, a) : order(a, b)).forEach(r => body.append(r));
}));
"""


@dataclass
class Page:
    """A page that is written section by section.

    verdict (list of str): Sentences at the top, the most important first.
    sections (list of tuple): Heading and HTML.
    """

    title: str
    verdict: list = field(default_factory=list)
    sections: list = field(default_factory=list)

    def add(self, heading, *parts):
        """Add a section of HTML parts; empty ones are left out."""
        parts = [part for part in parts if part]
        if parts:
            self.sections.append((heading, "\n".join(parts)))

    def html(self):
        """Return the whole page."""
        links = "".join(
            f'<a href="#s{i}">{escape(heading)}</a>' for i, (heading, _) in enumerate(self.sections)
        )
        body = "\n".join(
            f'<section id="s{i}"><h2>{escape(heading)}</h2>\n{html}</section>'
            for i, (heading, html) in enumerate(self.sections)
        )
        told = "".join(f"<p>{escape(sentence)}</p>" for sentence in self.verdict)
        told = f'<div class="verdict">{told}</div>' if told else ""
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(self.title)}</title><style>{CSS}</style></head>\n<body>"
            f"<header><h1>{escape(self.title)}</h1>{told}<nav>{links}</nav></header>\n"
            f"<main>{body}</main>\n<footer>Made with {HOME} {__version__} on "
            f"{date.today().isoformat()}. Tables sort by a click on a heading.</footer>"
            f"<script>{SCRIPT}</script></body></html>\n"
        )

    def save(self, path):
        """Write the page, whole or not at all, and return its path."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda file: file.write(self.html().encode("utf-8")))
        return path


def note(text):
    """Small text."""
    return f'<p class="note">{escape(text)}</p>'


def paste(text):
    """Text to copy."""
    return f'<pre class="paste">{escape(text)}</pre>'


def facts(pairs):
    """Table of names and what they are; values are HTML."""
    rows = "".join(
        f'<tr><td class="text">{escape(name)}</td><td class="text">{value}</td></tr>'
        for name, value in pairs.items()
    )
    return f'<div class="wide"><table class="facts"><tbody>{rows}</tbody></table></div>'


def table(frame, names=None, digits=3):
    """Sortable table of a DataFrame.

    names (dict of str -> str): Headings of the columns.
    digits: Decimals; the whole number shows when the pointer rests on it.
    """
    names = names or {}
    text = {name: frame[name].dtype.kind not in "fiub" for name in frame}
    head = "".join(
        f"<th{' class=text' if text[name] else ''}><button>"
        f"{escape(names.get(name, str(name).replace('_', ' ')))}</button></th>"
        for name in frame
    )
    rows = "".join(
        "<tr>" + "".join(_cell(v, text[n], names, digits) for n, v in zip(frame, row)) + "</tr>"
        for row in frame.itertuples(index=False)
    )
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _cell(value, is_text, names, digits):
    if is_text:
        return f'<td class="text">{escape(str(names.get(value, value)))}</td>'
    if isinstance(value, bool | np.bool_):
        return f'<td data-value="{int(value)}">{"yes" if value else "no"}</td>'
    if isinstance(value, int | np.integer):
        return f'<td data-value="{value}">{value}</td>'
    if not np.isfinite(value):
        return "<td>–</td>"
    return f'<td data-value="{value!r}" title="{value:.6g}">{number(value, digits)}</td>'


def number(value, digits=3):
    """Number with so many decimals; small ones in powers of ten."""
    small = value != 0 and abs(value) < 10.0**-digits
    return f"{value:.1e}" if small else f"{value:.{digits}f}"


def fold(summary, html):
    """HTML behind a line to click on."""
    return f"<details><summary>{escape(summary)}</summary>{html}</details>"


def figure(drawn, caption, spots=()):
    """Figure as an image, with what shows where the pointer rests.

    drawn (matplotlib.figure.Figure)
    spots (sequence of (left, bottom, width, height, text)): Boxes in fractions of the figure.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    FigureCanvasAgg(drawn)
    drawn.savefig(buffer, format="png", dpi=150)
    image = base64.b64encode(buffer.getvalue()).decode("ascii")
    over = "".join(
        f'<div class="spot" style="left:{100 * x:.2f}%;bottom:{100 * y:.2f}%;width:{100 * w:.2f}%;'
        f'height:{100 * h:.2f}%" title="{escape(text)}"></div>'
        for x, y, w, h, text in spots
    )
    width = drawn.get_figwidth() * 85
    kind = "frame broad" if drawn.get_figwidth() > 8 else "frame"
    return (
        f'<figure><div class="{kind}"><div class="over"><img alt="{escape(caption)}" '
        f'width="{width:.0f}" src="data:image/png;base64,{image}">{over}</div></div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def spots_over_time(drawn, ax, times, lines, n=60):
    """Spots along the time axis that tell the value of every line.

    drawn (matplotlib.figure.Figure): Drawn once, so that its axes have their places.
    ax (Axes), times (n_times,), lines (dict of str -> ndarray of shape (n_times,))
    n: At most so many spots.
    """
    drawn.draw_without_rendering()
    size = drawn.get_size_inches() * drawn.dpi
    edges = np.unique(np.linspace(0, len(times) - 1, n + 1).astype(int))
    spots = []
    for first, last in pairwise(edges):
        (x0, y0), (x1, y1) = (
            ax.transData.transform((times[i], y)) / size
            for i, y in zip((first, last), ax.get_ylim())
        )
        middle = (first + last) // 2
        told = ", ".join(f"{k} {v[middle]:.3f}" for k, v in lines.items() if np.isfinite(v[middle]))
        spots.append((x0, y0, x1 - x0, y1 - y0, f"{times[middle]:.3g} s: {told}"))
    return spots
