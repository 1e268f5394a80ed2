"""A drawn digit as scikit-learn's digits were made: a box, 32 x 32 pixels, blocks of 4 x 4 counted.

The bitmaps of that set come from NIST's form-based recognition system [1]_: the character's box is
scaled to 32 rows and about 20 columns, and strokes are made thicker or thinner until about as many
pixels are set as in other characters. Here the middle of the mass comes to the middle of the
picture, where the box leaves room.

References
----------
.. [1] Garris, Blue, Candela, Dimmick, Geist, Grother, Janet & Wilson (1994). "NIST form-based
   handprint recognition system". NISTIR 5469.
"""

import base64
import binascii
from typing import Any

import numpy as np

from fastmlp.core.rules import integer
from fastmlp.core.typing import Array
from fastmlp.playground.live import LiveNetwork
from fastmlp.playground.state import StateError, check_field

_SIZE, _WIDTH = 32, 20
_MOST_STRETCH = 2.0  # of one direction against the other: a one stays narrow
_FEWEST, _MOST = 260, 370  # pixels set, in nine of ten digits of the set
_MOST_ROUNDS = 4  # of making strokes thicker or thinner
_INK = 64  # of 255: what counts as drawn


def drawn(request: dict[str, Any]) -> Array:
    """The bitmap (size, size) of a request, whether each pixel is drawn.

    Raises
    ------
    StateError
        It is none.
    """
    size, text = request.get("size"), request.get("bitmap")
    check_field(size, integer(32, 512, "[]"), "size")
    try:
        ink = np.frombuffer(base64.b64decode(str(text), validate=True), np.uint8)
    except (binascii.Error, ValueError) as error:
        raise StateError("bitmap must be base64 of size * size bytes.", "bitmap") from error
    assert isinstance(size, int)
    if ink.size != size * size:
        raise StateError(
            f"bitmap must be base64 of size * size = {size * size} bytes. Got {ink.size}.", "bitmap"
        )
    return ink.reshape(size, size) >= _INK


def normalised(ink: Array) -> Array:
    """A drawing (n, n) of bool as one of 32 x 32 like those of the set; nothing stays nothing."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return np.zeros((_SIZE, _SIZE), bool)
    box = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(float)
    height, width = _scaled_size(*box.shape)
    shares = _overlaps(box.shape[0], height) @ box @ _overlaps(box.shape[1], width).T
    strokes = _with_usual_strokes(shares >= min(0.5, shares.max()))
    across, down = (_first(strokes, axis) for axis in (1, 0))
    picture = np.zeros((_SIZE, _SIZE), bool)
    picture[down : down + height, across : across + width] = strokes
    return picture


def counted(picture: Array) -> Array:
    """The pixels (8, 8), each from 0 to 16: how many of 4 x 4 are set."""
    blocks: Array = picture.reshape(8, 4, 8, 4).sum(axis=(1, 3))
    return blocks


def _scaled_size(height: int, width: int) -> tuple[int, int]:
    """How large a box becomes: as high as the picture, and as wide as digits are."""
    down = _SIZE / height
    across = float(np.clip(_WIDTH / width, down / _MOST_STRETCH, down * _MOST_STRETCH))
    if width * across > _SIZE:  # a dash, which cannot be as high as a digit
        across = _SIZE / width
        down = min(down, across * _MOST_STRETCH)
    return tuple(int(np.clip(round(n), 1, _SIZE)) for n in (height * down, width * across))  # type: ignore[return-value]


def _overlaps(n: int, parts: int) -> Array:
    """The share (parts, n) of each of n pixels in parts of equal length."""
    edges = np.linspace(0, n, parts + 1)
    low, high = edges[:-1, None], edges[1:, None]
    pixel = np.arange(n)
    covered = np.clip(np.minimum(high, pixel + 1) - np.maximum(low, pixel), 0, None)
    shares: Array = covered * parts / n
    return shares


def _with_usual_strokes(picture: Array) -> Array:
    """Strokes made thicker or thinner until about as many pixels are set as in the set's digits."""
    from scipy.ndimage import binary_dilation, binary_erosion

    for _ in range(_MOST_ROUNDS):
        n = picture.sum()
        if n < _FEWEST:
            changed = binary_dilation(picture)
        elif n > _MOST:
            changed = binary_erosion(picture, border_value=1)
        else:
            break
        if abs(changed.sum() - (_FEWEST + _MOST) / 2) > abs(n - (_FEWEST + _MOST) / 2):
            break
        picture = changed
    return picture


def _first(picture: Array, axis: int) -> int:
    """Where it begins along an axis, so that the middle of its mass is in the middle."""
    n = picture.shape[axis]
    mass = picture.sum(axis=1 - axis)
    middle = float((np.arange(n) + 0.5) @ mass / mass.sum())
    return int(np.clip(round(_SIZE / 2 - middle), 0, _SIZE - n))


def pad(live: LiveNetwork, request: dict[str, Any]) -> dict[str, Any]:
    """What the network makes of a drawing."""
    if live.state["data"]["set"] != "digits":
        raise StateError("The pad is for data.set='digits'.", "data.set")
    picture = normalised(drawn(request))
    if not picture.any():
        return {"empty": True}
    pixels = counted(picture)
    row = pixels.reshape(1, 64) / 16
    fitted = live.session.fitted()
    *hidden, outputs = live.session.activations(row)
    has_probabilities = hasattr(fitted, "predict_proba")
    return {
        "empty": False,
        "pixels": pixels,
        "bitmap": picture.astype(int),
        "predicted": int(fitted.predict(row)[0]),
        "probabilities": fitted.predict_proba(row)[0] if has_probabilities else None,
        "outputs": outputs[0],
        "activations": [layer[0] for layer in hidden],
    }
