#!/bin/sh
# Guess:   what a program printed comes back as it was printed; a text is a text.
# Happens: DuckDB 2.0.1 makes a TIMESTAMP of a column whose texts all look like times. It has
#          microseconds: two lines that differ in their nanoseconds become equal, and the text
#          can't be had back. Polars 2.1.0 and pyarrow 26.0.1 keep the text.
# Source:  measured; that dates are detected is documented (JSON loading, parameter dateformat).
set -eu
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet duckdb==2.0.1 polars==2.1.0 pyarrow==26.0.1 pytz
"$work/venv/bin/python" - "$work/log.jsonl" <<'PYTHON'
import json
import sys

import duckdb
import polars
import pyarrow.json

path = sys.argv[1]
printed = ["2026-11-24T08:18:20.123456001Z", "2026-11-24T08:18:20.123456999Z"]
with open(path, "w") as log:
    for text in printed:
        print(json.dumps({"text": text}), file=log)

kind, different = duckdb.sql(
    f"select any_value(typeof(text)), count(distinct text) from read_json('{path}')"
).fetchall()[0]
print("duckdb", duckdb.__version__, "->", kind, "with", different, "value of 2")
print("polars", polars.__version__, "->", polars.read_ndjson(path)["text"].to_list())
print("pyarrow", pyarrow.__version__, "->", pyarrow.json.read_json(path)["text"].to_pylist())
assert kind.startswith("TIMESTAMP") and different == 1
assert polars.read_ndjson(path)["text"].to_list() == printed
assert pyarrow.json.read_json(path)["text"].to_pylist() == printed
PYTHON
