"""Parquet by pyarrow, an optional dependency: verdicts as a stream, a report as one table."""

from __future__ import annotations

import io
import json
from itertools import islice
from typing import TYPE_CHECKING, Any

from scanner.report.formats.row import COLUMNS
from storage.errors import ScannerError
from storage.optional_packages import with_extra

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ModuleNotFoundError as error:
    raise ScannerError(f"Parquet needs pyarrow: {with_extra('parquet')}") from error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import BinaryIO

# Rows in memory at a time, and rows of a group, which readers read or skip as a whole.
GROUP_ROWS = 5_000

_TYPES = dict.fromkeys(("score", "fetch_ms", "decode_ms", "infer_ms"), pa.float64())
_TYPES |= {"examined": pa.bool_(), "edited": pa.bool_()}
# Texts are UTF-8: a `path` that is not is for display only, and `path_b64` has its bytes.
# `findings` is JSON, since `detail` differs by detector.
VERDICTS = pa.schema(
    [
        ("path", pa.string()),
        ("path_b64", pa.string()),
        *((name, _TYPES.get(name, pa.string())) for name in COLUMNS[1:]),
    ]
)
REPORT = pa.schema([("figure", pa.string()), ("number", pa.float64()), ("text", pa.string())])


def write_verdicts(rows: Iterable[Mapping[str, Any]], out: BinaryIO) -> None:
    """Write rows of verdicts, group by group."""
    with pq.ParquetWriter(out, VERDICTS, compression="zstd") as writer:
        for group in _groups(iter(rows)):
            writer.write_table(pa.Table.from_pylist(group, schema=VERDICTS))


def parquet_of(rows: Iterable[tuple[str, float | None, str | None]]) -> bytes:
    """Return the figures of a report as one file."""
    figures, numbers, texts = zip(*rows, strict=True)
    table = pa.table([figures, numbers, texts], schema=REPORT)
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def _groups(rows: Iterator[Mapping[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while group := [_flat(row) for row in islice(rows, GROUP_ROWS)]:
        yield group


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with texts in UTF-8, without the lone surrogates that tags may contain."""
    flat = {
        name: value.encode(errors="replace").decode() if isinstance(value, str) else value
        for name, value in row.items()
    }
    return flat | {"findings": json.dumps(row["findings"])}
