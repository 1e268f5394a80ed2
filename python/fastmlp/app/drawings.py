"""A progress bar, a curve and bars in characters."""

import io
import sys

import numpy as np


class Bar(io.TextIOBase):
    """A progress bar. As a text stream it takes what ``verbose=True`` prints for each epoch."""

    def __init__(self, name: str, epochs: int) -> None:
        self.name, self.epochs, self.done = name, epochs, 0
        self.live = sys.stderr.isatty()

    def write(self, text: str) -> int:
        """Count the epochs among the lines printed; `text` is shown in no other way."""
        if text.startswith("Iteration"):
            self.advance(float(text.split("=")[1]))
        return len(text)

    def advance(self, loss: float) -> None:
        """One epoch more, with this loss."""
        self.done += 1
        if self.live or self.done == self.epochs:
            filled = round(30 * self.done / self.epochs)
            print(
                f"{chr(13) if self.live else ''}{self.name:<13}{'━' * filled}{'┄' * (30 - filled)}"
                f" {self.done:>3}/{self.epochs} epochs   loss {loss:.4f} ",
                end="\n" if self.done == self.epochs else "",
                file=sys.stderr,
                flush=True,
            )


def curve(losses: list[float], width: int = 60, height: int = 10) -> str:
    """The losses drawn in characters, on a logarithmic scale."""
    logs = np.log10(np.maximum(losses, 1e-12))
    columns = np.interp(np.linspace(0, len(logs) - 1, width), np.arange(len(logs)), logs)
    low, high = columns.min(), columns.max()
    eighths = np.round((columns - low) / max(high - low, 1e-12) * (8 * height - 1)).astype(int) + 1
    lines = []
    for row in reversed(range(height)):
        label = {height - 1: f"{10**high:8.3g}", 0: f"{10**low:8.3g}"}.get(row, " " * 8)
        cells = "".join(" ▁▂▃▄▅▆▇█"[min(max(e - 8 * row, 0), 8)] for e in eighths)
        lines.append(f"{label} │{cells}")
    lines.append(f"{'':8} └{'─' * width}")
    lines.append(f"{'':9} 1{'epoch':^{width - 4}}{len(losses):>3}")
    return "\n".join(lines)


def bars(names: list[str], values: list[float], digits: int, width: int = 40) -> str:
    """A bar for each value, as long as the value is beside the largest; none below zero."""
    longest = max(*map(len, names), 1)
    highest = max(*values, 1e-12)
    lines = []
    for name, value in zip(names, values, strict=True):
        eighths = round(8 * width * max(value, 0.0) / highest)
        bar = "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8]
        lines.append(f"{name:<{longest}}  {value:>7.{digits}f}  {bar}".rstrip())
    return "\n".join(lines)
