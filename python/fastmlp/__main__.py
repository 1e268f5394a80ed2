"""``python -m fastmlp``: train on handwritten digits, or on your own table, beside two peers."""

import argparse
import io
import sys
from pathlib import Path

from fastmlp.app import demo
from fastmlp.app.tables import TableError


def main() -> int:
    """Run the command; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):  # bars are drawn, or ? where the encoding has none
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    parser = argparse.ArgumentParser(prog="python -m fastmlp", description=__doc__)
    parser.add_argument("--data", type=Path, metavar="FILE.csv", help="a table with a header line")
    parser.add_argument("--target", metavar="COLUMN", help="the column to predict")
    parser.add_argument("--epochs", type=int, default=100, help="passes over the data (100)")
    arguments = parser.parse_args()
    if (arguments.data is None) != (arguments.target is None):
        parser.error("--data and --target go together")
    if arguments.epochs < 1:
        parser.error(f"--epochs must be at least 1, got {arguments.epochs}")
    try:
        demo.run(arguments.data, arguments.target, arguments.epochs)
    except TableError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
