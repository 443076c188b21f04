#!/bin/sh
# Guess:   with ignore_errors=true a line that is no JSON, such as the torn last one of a program
#          that was killed, is left out.
# Happens: DuckDB 2.0.1 makes a row of NULLs of it: count(*) is one too many, and two records that
#          a restarted writer glued together become one such row: both are lost.
# Source:  measured; seen by others in brimdata/super issue 4546 (April 2025).
set -eu
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"; "$work/venv/bin/pip" install --quiet duckdb==2.0.1
"$work/venv/bin/python" - "$work" <<'PYTHON'
import sys

import duckdb

logs = {
    "torn": '{"n": 0}\n{"n": 1}\n{"n": 2, "te',
    "glued": '{"n": 0}\n{"n": 1, "te{"n": 2}\n{"n": 3}\n',
}
print("duckdb", duckdb.__version__)
for name, text in logs.items():
    path = f"{sys.argv[1]}/{name}.jsonl"
    with open(path, "w") as log:
        log.write(text)
    rows = duckdb.sql(f"select n from read_json('{path}', ignore_errors=true)").fetchall()
    logs[name] = [row[0] for row in rows]
    print(f"{name}: {text!r} -> {logs[name]}")
assert logs == {"torn": [0, 1, None], "glued": [0, None, 3]}
PYTHON
