#!/bin/sh
# Guess:   a value that does not fit the type found at the beginning of a file of JSON lines is an
#          error, as a word in the place of a number is.
# Happens: DuckDB 2.0.1 takes the type from the first 20,480 lines. A later 2.5 becomes 2, 0.4
#          becomes 0, and `true` becomes 1. With sample_size=-1, or with columns={...}, all is well.
# Source:  measured; the sample's size is documented (JSON loading, parameter sample_size).
set -eu
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"; "$work/venv/bin/pip" install --quiet duckdb==2.0.1
"$work/venv/bin/python" - "$work/log.jsonl" <<'PYTHON'
import json
import sys

import duckdb

path = sys.argv[1]
late = [2.5, 0.4, True]
with open(path, "w") as log:
    for delay in [*range(20_480), *late]:
        print(json.dumps({"delay_ms": delay}), file=log)

def last(options: str) -> list[object]:
    rows = duckdb.sql(f"select delay_ms from read_json('{path}'{options})").fetchall()
    return [row[0] for row in rows[-3:]]

print("duckdb", duckdb.__version__)
print("written:       ", late)
print("as it comes:   ", last(""))
print("looked through:", last(", sample_size=-1"))
assert last("") == [2, 0, 1]
assert [str(value) for value in last(", sample_size=-1")] == ["2.5", "0.4", "true"]
PYTHON
