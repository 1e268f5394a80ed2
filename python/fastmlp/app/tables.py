"""A user's own table, read from a file by pandas, and the Python code that reads it so."""

import contextlib
import csv
import io
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastmlp.tables.encodings import CategoryEncoding, Encoding
from fastmlp.tables.reading import Kind, Table

_HEAD = 10_000  # lines that are looked at to tell how a text file is written
_HEAD_CHARACTERS = 4_000_000
_COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst", ".zip")
_READERS = {
    ".parquet": "read_parquet",
    ".feather": "read_feather",
    ".xlsx": "read_excel",
    ".xls": "read_excel",
    ".ods": "read_excel",
    ".json": "read_json",
    ".jsonl": "read_json",
    ".ndjson": "read_json",
}  # any other file is text
_ENCODINGS = ("utf-8", "utf-16", "cp1252", "latin-1")  # the last one reads anything
# comma last: in a table with another separator each row may well have as many decimal commas
_SEPARATORS = ("\t", ";", "|", ",", r"\s+")
_DATES = 0.95  # share of a text column's cells that are dates where it is a column of dates
_ROW_NAMES = ("id", "index", "row", "nr", "no")  # of columns that may count the rows


class TableError(ValueError):
    """A table or model that cannot be used, in words for its owner."""


def import_pandas() -> Any:
    """Import pandas, which only the command needs.

    Raises
    ------
    TableError
        It is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise TableError(
            "tables are read by pandas, which is missing: pip install 'fastmlp[table]'"
        ) from error
    return pandas


@dataclass
class TableFile:
    """What was read from a file.

    Attributes
    ----------
    path : Path
    frame : pandas.DataFrame
        Columns have distinct names, and types that the estimators take.
    code : list of str
        The lines of Python that read the same, with pandas as `pd`, and `frame` at the end.
    notes : list of str
        What is worth telling of it.
    """

    path: Path
    frame: Any
    code: list[str]
    notes: list[str]

    def do(self, line: str, note: str | None = None) -> None:
        """Take a step on the frame that the user can take as well: a line of the code.

        What is printed is what was done, since the line itself is run. Names of columns are in it
        as `repr` writes them, so that none of them can be code.
        """
        names = {"frame": self.frame, "pd": import_pandas()}
        exec(line, names)
        self.frame = names["frame"]
        self.code.append(line)
        if note:
            self.notes.append(note)


def read_table(path: Path, encodings: Sequence[Encoding] | None = None) -> TableFile:
    """Read the table in a file as its owner means it.

    Separator, encoding, decimal comma, header, index column, dates and how missing cells are
    written are told from what is there.

    Parameters
    ----------
    path : Path
    encodings : sequence of Encoding or None
        What a model made of the columns it was fitted to: these then come as what they were.

    Raises
    ------
    TableError
        There is no such file, no pandas, or no table that pandas reads in the file.
    """
    pandas = import_pandas()
    if not path.is_file():
        raise TableError(f"no such file: {path}")
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in _COMPRESSIONS]
    reader = _READERS.get(suffixes[-1] if suffixes else "", "read_csv")
    try:
        if reader == "read_csv":
            frame, options = _read_text(path, _texts(encodings or []))
        else:
            options = {"lines": True} if suffixes[-1] in (".jsonl", ".ndjson") else {}
            frame = getattr(pandas, reader)(path, **options)
    except Exception as error:  # each engine of pandas has errors of its own
        why = str(error).strip().splitlines() or [type(error).__name__]
        raise TableError(f"{path} cannot be read: {why[0]}") from error
    if not isinstance(frame, pandas.DataFrame) or frame.empty:
        raise TableError(f"{path}: no rows below the header")
    arguments = "".join(f", {name}={value!r}" for name, value in options.items())
    code = [f"frame = pd.{reader}({str(path)!r}{arguments})"]
    table = TableFile(path, frame, code, [_describe(options)] if options else [])
    _name_columns(table, headless="header" in options)
    dates = table.frame.columns
    if encodings is None:
        _leave_out_row_names(table, headless="header" in options)
        _leave_out_nested(table)
    else:
        dates = [encoding.name for encoding in encodings if encoding.kind is Kind.DATE]
    for name in table.frame.columns.intersection(dates):
        _read_dates(table, name)
    return table


def _texts(encodings: Sequence[Encoding]) -> list[str]:
    """The columns that are text, though there may be nothing but digits in a file: '007'."""
    return [
        encoding.name
        for encoding in encodings
        if isinstance(encoding, CategoryEncoding)
        and not {"True", "False"}.issuperset(encoding.levels)
    ]


# --- text files ----------------------------------------------------------------------------------


def _read_text(path: Path, texts: list[str]) -> tuple[Any, dict[str, Any]]:
    """The frame, and the options of `read_csv` that it took; columns named in `texts` are text."""
    pandas = import_pandas()
    for encoding in _ENCODINGS:
        options = {} if encoding == "utf-8" else {"encoding": encoding}
        try:
            # a separator that does not occur: the lines as they are, decompressed and decoded
            head = pandas.read_csv(
                path, sep="\x01", header=None, quoting=csv.QUOTE_NONE, dtype=str,
                keep_default_na=False, nrows=_HEAD, **options,
            )  # fmt: skip
            with contextlib.suppress(csv.Error):  # which need not be one for pandas
                options |= _guess_options(head[0].tolist())
            dtype = dict.fromkeys(texts, str)
            return pandas.read_csv(path, low_memory=False, dtype=dtype, **options), options
        except UnicodeError:
            if encoding == _ENCODINGS[-1]:
                raise
    raise AssertionError("latin-1 decodes anything")


def _guess_options(lines: list[str]) -> dict[str, Any]:
    """The options of `read_csv` that lines of a file call for, those of its defaults left out."""
    options: dict[str, Any] = {}
    if lines[0].startswith("sep="):  # which tells Excel the separator
        options["skiprows"] = 1
        lines = lines[1:]
    lines = lines[: max(20, _HEAD_CHARACTERS // len(lines[0]))]
    separator = _guess_separator(lines)
    if separator != ",":
        options["sep"] = separator
        if _count_numbers(lines, sep=separator, decimal=",") > _count_numbers(
            lines, sep=separator, decimal="."
        ):
            options["decimal"] = ","
    rows = _split(lines, separator)
    if _lacks_header(rows, options.get("decimal", ".")):
        options["header"] = None
    cells = {cell for row in rows for cell in row}
    if any(cell.startswith(" ") for cell in cells):
        options["skipinitialspace"] = True
    if any(cell.strip() == "?" for cell in cells):
        options["na_values"] = ["?"]
    return options


def _split(lines: list[str], separator: str) -> list[list[str]]:
    if separator == r"\s+":
        return [line.split() for line in lines]
    return list(csv.reader(lines, delimiter=separator))


def _guess_separator(lines: list[str]) -> str:
    """The first separator that gives most lines as many fields as the first line has."""
    for separator in _SEPARATORS:
        widths = [len(row) for row in _split(lines, separator)]
        width, count = Counter(widths).most_common(1)[0]
        # a name less than fields: the index has none
        if widths[0] > 1 and width - widths[0] in (0, 1) and count >= 0.9 * len(widths) - 1:
            return separator
    return ","


def _count_numbers(lines: list[str], **options: str) -> int:
    """How many columns are numbers when read so."""
    pandas = import_pandas()
    try:
        frame = pandas.read_csv(io.StringIO("\n".join(lines)), **options)
    except ValueError:  # reading the whole file says why
        return 0
    return len(frame.select_dtypes("number").columns)


def _lacks_header(rows: list[list[str]], decimal: str) -> bool:
    """Whether the first row is one of the others, and no names."""
    first, rest = [cell.strip() for cell in rows[0]], rows[1:]
    if first == [str(i) for i in range(len(first))]:  # as pandas writes columns without names
        return False
    if not rest or any(len(row) < len(first) for row in rest[:-1]):
        return False

    def is_number(cell: str) -> bool:
        try:
            float(cell.replace(decimal, "."))
        except ValueError:
            return False
        return True

    numbers, texts = [], []  # of each column: whether its first cell is like the others
    for i, cell in enumerate(first):
        others = {row[i].strip() for row in rest if i < len(row)} - {"", "?", "NA"}
        if others and all(is_number(other) for other in others):
            numbers.append(is_number(cell))
        elif others:
            texts.append(cell in others)
    if not texts:
        return bool(numbers) and all(numbers)
    return all(numbers) and sum(texts) >= len(texts) / 2


def _describe(options: dict[str, Any]) -> str:
    """How the file is written, where that is not what `read_csv` takes for granted."""
    words = {
        "encoding": "encoding {}",
        "skiprows": "first line, 'sep=', skipped",
        "sep": "separator {}",
        "decimal": "decimal comma",
        "header": "no header",
        "skipinitialspace": "spaces after separators skipped",
        "na_values": "'?' is missing",
        "lines": "a line for each row",
    }
    spoken = {"\t": "tab", r"\s+": "spaces"}
    return ", ".join(
        words[name].format(spoken.get(str(value), value)) for name, value in options.items()
    )


# --- columns -------------------------------------------------------------------------------------


def _name_columns(table: TableFile, headless: bool) -> None:
    """Give each column a text as its name."""
    names = list(table.frame.columns)
    if headless:
        last = len(names) - 1
        table.do(
            'frame.columns = [f"x{name}" for name in frame.columns]', f"columns named x0 to x{last}"
        )
    elif any(not isinstance(name, str) or name != name.strip() for name in names):
        table.do("frame.columns = [str(name).strip() for name in frame.columns]")


def _leave_out_row_names(table: TableFile, headless: bool) -> None:
    """Leave out a first column that only names or counts the rows."""
    pandas = import_pandas()
    frame = table.frame
    if not frame.index.equals(pandas.RangeIndex(len(frame))):
        name = "" if frame.index.name is None else f" {frame.index.name!r}"
        table.notes.append(f"index{name} left out")
    first = frame.columns[0]
    unnamed = first == "" or first.startswith("Unnamed: ")
    if not unnamed and not headless and first.lower() not in _ROW_NAMES:
        return
    if not unnamed:
        if frame.shape[1] == 2:  # the only feature
            return
        if not pandas.api.types.is_integer_dtype(frame[first]) or frame[first].hasnans:
            return
        values = frame[first].tolist()
        if values[0] not in (0, 1) or values != list(range(values[0], values[0] + len(values))):
            return
    table.do(
        f"frame = frame.drop(columns=[{first!r}])",
        f"column {first!r} left out: it {'has no name' if unnamed else 'counts the rows'}",
    )


def _leave_out_nested(table: TableFile) -> None:
    """Leave out columns whose cells are lists or tables themselves."""
    for name in list(table.frame.columns):
        try:
            column = Table(table.frame[[name]])
            if column.kind(0) is Kind.CATEGORY:
                column.texts(0)
        except TypeError:
            table.do(
                f"frame = frame.drop(columns=[{name!r}])",
                f"column {name!r} left out: its cells are no numbers, texts or dates",
            )


def _read_dates(table: TableFile, name: str) -> None:
    """Turn a column of text into dates where nearly all its cells are some."""
    pandas = import_pandas()
    column = table.frame[name].dropna()
    if column.empty or pandas.api.types.infer_dtype(column) != "string":
        return
    first = str(column.iloc[0])
    best, best_format, other_format = 0.0, "", ""
    # where both ways fit, points mean that the day comes first, as in 24.12.2026
    for dayfirst in sorted((False, True), reverse=first.count(".") > 1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            form = pandas.tseries.api.guess_datetime_format(first, dayfirst=dayfirst)
        if form is None or form.count("%") < 2 or not any(mark in form for mark in "-/. "):
            continue
        read = pandas.to_datetime(column, format=form, errors="coerce", utc="%z" in form)
        share = read.notna().mean()
        if share > best:
            best, best_format = share, form
        elif share == best and form != best_format and "/" in form and form[:2] != "%Y":
            other_format = form  # nothing but custom tells 03/04/2026 from 04/03/2026
    if best < _DATES:
        return
    utc = ", utc=True" if "%z" in best_format else ""
    lost = round((1 - best) * len(column))
    table.do(
        f"frame[{name!r}] = pd.to_datetime("
        f"frame[{name!r}], format={best_format!r}, errors='coerce'{utc})",
        f"column {name!r} read as dates, {best_format}"
        + (f"; {other_format} would fit as well" if other_format else "")
        + (f"; {lost} cells that are none count as missing" if lost else ""),
    )
