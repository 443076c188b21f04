#!/bin/sh
# Guess:   a key that first appears late in a file of JSON lines becomes a column, as it does in
#          pandas and pyarrow, or is refused.
# Happens: Polars 2.1.0 looks at the first 100 lines, and drops every key that they don't have:
#          no error, no warning. With infer_schema_length=None, or a schema, it is there.
# Source:  pola-rs/polars issue 29330 (open, September 2026).
set -eu
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"; "$work/venv/bin/pip" install --quiet polars==2.1.0
"$work/venv/bin/python" - "$work/log.jsonl" <<'PYTHON'
import json
import sys

import polars

path = sys.argv[1]
with open(path, "w") as log:
    for n in range(100):
        print(json.dumps({"n": n}), file=log)
    print(json.dumps({"n": 100, "fault": "kill"}), file=log)

default = polars.read_ndjson(path)
whole = polars.read_ndjson(path, infer_schema_length=None)
print("polars", polars.__version__)
print("as it comes:  ", default.columns, default.rows()[-1])
print("looked through:", whole.columns, whole.rows()[-1])
assert default.columns == ["n"] and default.height == 101
assert whole.columns == ["n", "fault"] and whole.rows()[-1] == (100, "kill")
PYTHON
