"""``python -m fastmlp``: a model of your own table, or a demonstration on handwritten digits."""

import argparse
import io
import os
import sys
from pathlib import Path

from fastmlp.app import demo, predictions, report
from fastmlp.app.tables import TableError

EPOCHS = 100


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fastmlp",
        description="Evaluate a model of your own table, beside three others. Without arguments: "
        "train on handwritten digits beside scikit-learn and NumPy.",
    )
    parser.add_argument(
        "--data", type=Path, metavar="FILE", help="a table: CSV or another file that pandas reads"
    )
    parser.add_argument(
        "--target",
        metavar="COLUMN",
        help="the column to predict (the one called target, label, class or y, or the last one)",
    )
    parser.add_argument(
        "--task",
        choices=["auto", "classification", "regression"],
        help="what to predict; auto: classes if they are text or few whole numbers (auto)",
    )
    parser.add_argument("--save", type=Path, metavar="MODEL", help="save the fitted model")
    parser.add_argument("--epochs", type=int, help=f"passes over the handwritten digits ({EPOCHS})")
    commands = parser.add_subparsers(dest="command", title="commands", metavar="")
    predict = commands.add_parser(
        "predict",
        help="predict the rows of a file, by a model that --save wrote",
        description="Write a CSV file with a line for each row of FILE: the prediction, and of "
        "classes their probabilities.",
    )
    predict.add_argument("model", type=Path, metavar="MODEL", help="a model that --save wrote")
    predict.add_argument("file", type=Path, metavar="FILE", help="a table with the same columns")
    predict.add_argument("--out", type=Path, metavar="FILE", help="the file to write")
    play = commands.add_parser(
        "playground",
        help="a page on which a network is seen while it learns",
        description="Serve a page to this machine alone, on which a network is seen while it "
        "learns: data sets of the plane, handwritten digits, or a table of your own.",
    )
    play.add_argument("--data", type=Path, metavar="FILE", help="a table of your own")
    play.add_argument("--target", metavar="COLUMN", help="the column to predict")
    play.add_argument("--port", type=int, default=0, help="the port; 0 is any that is free (0)")
    play.add_argument("--no-browser", action="store_true", help="print the address only")
    return parser


def _run(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Run what the arguments ask for."""
    of_table = [name for name in ("target", "task", "save") if getattr(arguments, name)]
    if arguments.data is None and of_table:
        parser.error(f"--{of_table[0]} goes with --data")
    if arguments.epochs is not None and (arguments.data or arguments.command):
        parser.error("--epochs is for the handwritten digits alone")
    if arguments.epochs is not None and arguments.epochs < 1:
        parser.error(f"--epochs must be at least 1, got {arguments.epochs}")
    if arguments.command == "predict":
        predictions.run(arguments.model, arguments.file, arguments.out)
    elif arguments.command == "playground":
        from fastmlp.app import play  # a web server, which no other command needs

        play.run(arguments.data, arguments.target, arguments.port, not arguments.no_browser)
    elif arguments.data is not None:
        report.run(arguments.data, arguments.target, arguments.task or "auto", arguments.save)
    else:
        demo.run(arguments.epochs or EPOCHS)


def main() -> int:
    """Run the command; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):  # bars are drawn, or ? where the encoding has none
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    parser = _parser()
    try:
        _run(parser, parser.parse_args())
    except TableError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # who reads has enough; nothing is to be said of it at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
