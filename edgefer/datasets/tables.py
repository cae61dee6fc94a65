"""CSV files as frames of text whose cells are checked here, so that every wrong one is named by its line."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from lzma import LZMAError
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from edgefer.errors import InputError, MissingExtraError

_AS_TEXT: dict[str, Any] = {"dtype": str, "na_filter": False, "skip_blank_lines": False}
_ROWS_AT_ONCE = 2000


def read_table(file: Path, columns: tuple[str, ...], *, header: bool = True) -> Iterator[Any]:
    """Yield pandas frames of text indexed by line number, with blank lines left out.

    With ``header`` the first line names the columns (blanks around names do not count), else ``columns``
    does. Fields beyond the last column may be empty: spreadsheets end every line with a comma.

    Raises:
        InputError: the file is damaged, no text, ragged, or lacks one of ``columns``.
        MissingExtraError: pandas is not installed.
    """
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise MissingExtraError("pandas", "data") from error
    start, first_line = (0, 2) if header else (None, 1)
    try:
        first = pandas.read_csv(file, **_AS_TEXT, header=start, nrows=1)
        names = list(first.columns) if header else list(columns)
        # Without names of their own for surplus fields pandas takes the first ones for an index, and all shift.
        surplus = [f"surplus {number}" for number in range(_fields(first) - len(names))]
        naming = {"header": start, "names": [*names, *surplus], "index_col": False}
        with pandas.read_csv(file, **_AS_TEXT, **naming, chunksize=_ROWS_AT_ONCE) as chunks:
            for chunk in chunks:
                chunk.index = chunk.index + first_line
                _refuse_filled(chunk[surplus], file, len(names))
                yield _tidy(chunk[names], file, columns)
    except (EOFError, OSError, zlib.error, LZMAError, BadZipFile, ValueError) as error:
        reason = f"{file}: cannot be read as a CSV ({' '.join(str(error).split())})"
        raise InputError(reason, hint="is the file complete?") from error


def _fields(first: Any) -> int:
    """How many fields the row has of which pandas made a frame; those that the header does not name are its index."""
    import pandas

    unnamed = 0 if isinstance(first.index, pandas.RangeIndex) else first.index.nlevels
    return unnamed + int(first.shape[1])


def _refuse_filled(surplus: Any, file: Path, columns: int) -> None:
    filled = (surplus != "").any(axis=1)
    if filled.any():
        raise InputError(
            f"{file} line {filled.idxmax()}: more fields than the table's {columns} columns",
            hint="is there a row number in front that the header does not name, or a comma without quotes?",
        )


def _tidy(chunk: Any, file: Path, columns: tuple[str, ...]) -> Any:
    chunk = chunk.rename(columns=str.strip)
    missing = [name for name in columns if name not in chunk.columns]
    if missing:
        raise InputError(f"{file} has no column {missing[0]!r}", hint=f"it has: {', '.join(chunk.columns)}")
    return chunk[(chunk[list(columns)] != "").any(axis=1)]


def codes(table: Any, column: str, known: dict[str, int], file: Path) -> npt.NDArray[np.int64]:
    """Translate a column's words (N,) into numbers.

    Raises:
        InputError: a word is not ``known``; its line is named.
    """
    numbers = table[column].str.strip().map(known)
    if numbers.isna().any():
        line = numbers.index[numbers.isna()][0]
        raise InputError(
            f"{file} line {line}: unknown {column} {table[column][line]!r}", hint=f"known: {', '.join(known)}"
        )
    return np.asarray(numbers, np.int64)


def counts(table: Any, file: Path) -> npt.NDArray[np.int64]:
    """Turn a frame of text, indexed by line number, into whole numbers of the same shape.

    Raises:
        InputError: a cell holds something else; its line is named.
    """
    wrong = ~table.apply(lambda column: column.str.fullmatch(r"\s*\d{1,6}\s*"))
    if wrong.any(axis=None):
        line = wrong.index[wrong.any(axis=1)][0]
        raise InputError(f"{file} line {line}: a vote is no whole number")
    return np.asarray(table.astype(int), np.int64)
