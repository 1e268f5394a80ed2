"""Tables of words and numbers, as text and as HTML."""

from collections.abc import Sequence
from html import escape

_WIDEST = 40  # a longer cell pushes the rest of its own line aside, not all others'


def text_table(rows: Sequence[Sequence[str]], sides: str, gap: str = "  ") -> list[str]:
    """Lines of text in which the columns are aligned.

    Parameters
    ----------
    rows : sequence of sequence of str
        The first one is the head.
    sides : str
        A character for each column: '<' aligns it to the left, '>' to the right.
    gap : str
        What is between two columns.
    """
    widths = [min(max(map(len, column)), _WIDEST) for column in zip(*rows, strict=True)]
    return [
        gap.join(
            f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def html_table(rows: Sequence[Sequence[str]], caption: str = "") -> str:
    """An element <table> with a caption above; the first row is the head."""

    def line(row: Sequence[str], kind: str) -> str:
        return f"<tr>{''.join(f'<{kind}>{escape(cell)}</{kind}>' for cell in row)}</tr>"

    head, *body = rows
    return (
        f"<table><caption>{escape(caption)}</caption><thead>{line(head, 'th')}</thead>"
        f"<tbody>{''.join(line(row, 'td') for row in body)}</tbody></table>"
    )
