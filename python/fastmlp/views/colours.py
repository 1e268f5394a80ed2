"""The colours of signs: told apart by colour-blind readers too (Okabe & Ito, 2008)."""

POSITIVE = "#0072B2"  # blue
NEGATIVE = "#D55E00"  # vermillion
NEUTRAL = "#666666"  # grey
BIAS = "#ddd"  # light grey, of the units that are always 1


def colour_of(sign: float) -> str:
    """The colour of a number by its sign, -1, 0 or 1."""
    return POSITIVE if sign > 0 else NEGATIVE if sign < 0 else NEUTRAL
