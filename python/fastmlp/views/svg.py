"""Networks as SVG: to be shown by browsers, notebooks and documentation."""

from collections import defaultdict
from collections.abc import Sequence
from html import escape
from typing import Any

from fastmlp.core.typing import Array
from fastmlp.exchange.values import FittedNetwork
from fastmlp.views.colours import BIAS, NEUTRAL, colour_of
from fastmlp.views.layout import LOOP, RADIUS, Circle, Drawing, Line, Loop, Text, draw_network

# a ground of its own: the page's may be dark
_SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" \
width="{width:g}" style="max-width:100%" role="img" font-family="sans-serif" \
fill="black"><title>{title}</title><rect width="100%" height="100%" fill="white"/>"""


def network_svg(
    network: FittedNetwork,
    *,
    feature_names: Sequence[Any] | None = None,
    values: Sequence[Array] | None = None,
    max_units: int = 16,
) -> str:
    """Draw a network as SVG.

    Units are circles, weights lines: blue ones positive, orange and dashed ones negative, the wider
    the larger beside the others of the layer. Biases are the weights of a unit that is always 1.
    Recurrent units have loops: the weights of their own last outputs. Those of the others in the
    layer, and the gates of a 'gru', are not drawn.

    Parameters
    ----------
    network : FittedNetwork
    feature_names : sequence of length n_features or None, default=None
        None: x0, x1, ...
    values : sequence of ndarray of shape (n_units,), or None, default=None
        The features of a sample and what the units of each layer make of them. Units then show
        their values, and lines what they carry: the weight times the value of the unit before.
    max_units : int, default=16
        How many units of a layer are shown at most: of more the first ones and the last.

    Returns
    -------
    str
        An element <svg>, valid XML without scripts and styles.

    Examples
    --------
    >>> import numpy as np
    >>> from fastmlp.exchange.values import FittedNetwork, Layer, Task
    >>> from fastmlp.views.svg import network_svg
    >>> layer = Layer(np.array([[1.0], [-2.0]]), np.array([0.5]), "identity", 0.0, 1)
    >>> svg = network_svg(FittedNetwork("Adaline", [layer], Task.REGRESSION))
    >>> svg.count("<circle")
    4
    """
    drawing = draw_network(network, feature_names=feature_names, values=values, max_units=max_units)
    return _paint(drawing)


def _paint(drawing: Drawing) -> str:
    """The drawing as an element <svg>."""
    head = _SVG.format(width=drawing.width, height=drawing.height, title=escape(drawing.title))
    parts = [head, _lines(drawing.lines), *map(_loop, drawing.loops), f'<g stroke="{NEUTRAL}">']
    parts += [_circle(circle) for circle in drawing.circles]
    parts.append("</g>")
    parts += [_text(text) for text in drawing.texts]
    return "".join([*parts, "</svg>"])


def _lines(lines: Sequence[Line]) -> str:
    """Lines of one sign and width as one path: that is short, and quick to show."""
    paths: dict[tuple[float, float], list[str]] = defaultdict(list)
    for line in lines:
        (x, y, _), (to_x, to_y, _) = line.start, line.end
        paths[line.sign, line.width].append(f"M{x:g} {y:g}L{to_x:g} {to_y:g}")
    parts = []
    for (sign, width), moves in sorted(paths.items()):
        parts.append(f'<path d="{"".join(moves)}" {_stroke(sign, width)}/>')
    return "".join(parts)


def _stroke(sign: float, width: float) -> str:
    dashes = ' stroke-dasharray="4 2"' if sign < 0 else ""
    return f'stroke="{colour_of(sign)}" stroke-width="{width:g}"{dashes}'


def _loop(loop: Loop) -> str:
    """An arc above the unit, most of a circle: its ends are behind that of the unit."""
    x, y = loop.unit.x, loop.unit.y - RADIUS
    arc = f"M{x - LOOP:g} {y + 2:g}A{LOOP:g} {LOOP:g} 0 1 1 {x + LOOP:g} {y + 2:g}"
    return f'<path d="{arc}" fill="none" {_stroke(loop.sign, loop.width)}/>'


def _circle(circle: Circle) -> str:
    fill = BIAS if circle.is_bias else "#fff"
    return f'<circle cx="{circle.x:g}" cy="{circle.y:g}" r="{RADIUS}" fill="{fill}"/>'


def _text(text: Text) -> str:
    y = text.y + 0.35 * text.size  # the base line
    ground = ""
    if text.is_on_line:
        width = 0.6 * text.size * len(text.text)
        ground = (
            f'<rect x="{text.x - width / 2:g}" y="{text.y - text.size / 2:g}" width="{width:g}" '
            f'height="{text.size:g}" fill="white"/>'
        )
    return (
        f'{ground}<text x="{text.x:g}" y="{y:g}" font-size="{text.size:g}" '
        f'text-anchor="{text.anchor}">'
        f"{escape(text.text)}</text>"
    )
