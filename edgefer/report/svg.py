"""Figures that need no display and no state: SVG fit to stand inside a page, and PNG to stand anywhere."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, MUTED, RULE = "#1b2733", "#5a6672", "#dfe4e9"
LOSS, GAIN = "#D55E00", "#0072B2"
DASHES = (0, (4, 3))
DOTS_PER_INCH = 150

STYLE: dict[str, Any] = {
    "svg.hashsalt": "edgefer",   # ids of clip paths would be random
    "svg.fonttype": "none",      # text stays text: small, selectable, read aloud
    "text.parse_math": False,    # a dollar sign in a name is a dollar sign
    "font.size": 9,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
}  # fmt: skip


@dataclass(frozen=True)
class Plot:
    """A drawing and what it shows; ``name`` suits a file, ``wide`` asks for the whole width of the page."""

    name: str
    caption: str
    svg: str
    png: bytes
    wide: bool = False


@contextmanager
def drawing_style() -> Iterator[None]:
    """Draw in the report's style, whatever the user's matplotlibrc says; undone when the block ends."""
    from matplotlib import style

    with style.context(["default", STYLE]):
        yield


def figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches; to be used and rendered within ``drawing_style``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(drawing)  # measures text when labels are placed
    return drawing


def finished(drawing: Figure, title: str, caption: str, *, wide: bool = False) -> Plot:
    """The drawn figure; ``title`` gives its file name and must be its own within the page."""
    name = re.sub(r"\W+", "-", title).strip("-")
    picture = io.BytesIO()
    drawing.savefig(picture, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return Plot(name, caption, _svg(drawing, name, caption), picture.getvalue(), wide)


def _svg(drawing: Figure, prefix: str, description: str) -> str:
    """The figure as one ``<svg>`` with a text alternative; ``prefix`` makes its ids unique in the page."""
    text = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    drawing.savefig(text, format="svg", metadata=nothing)
    body = text.getvalue()
    body = body[body.index("<svg") :]
    body = re.sub(r'\bid="', f'id="{prefix}-', body)
    body = re.sub(r'(href="|url\()#', rf"\1#{prefix}-", body)
    label = f'<svg role="img" aria-label="{escape(description)}" '
    return body.replace("<svg ", label, 1).rstrip()
