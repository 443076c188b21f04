#!/bin/sh
# Guess:   submitting the same function with the same arguments ten times runs it ten times, as
#          with concurrent.futures: ten repeats of an experiment are ten runs.
# Happens: Dask names a task by its function and arguments, so the ten are one task: it runs once,
#          and each of the ten futures has that one result. pure=False gives each a name of its own.
# Source:  distributed, Client.submit and Client.map, parameter `pure` (True by default).
set -eu
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"; "$work/venv/bin/pip" install --quiet distributed==2026.8.0
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import pathlib
import uuid

import distributed


def experiment(messages: int) -> str:
    run = uuid.uuid4().hex[:6]
    pathlib.Path(run).touch()
    return run



cluster = distributed.LocalCluster(
    n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
)
with cluster, distributed.Client(cluster) as client:
    shared = client.gather([client.submit(experiment, 20) for _ in range(10)])
    own = client.gather([client.submit(experiment, 20, pure=False) for _ in range(10)])
print("distributed", distributed.__version__)
print("as it comes: ", *shared)
print("pure=False:  ", *own)
assert len(list(pathlib.Path().glob("??????"))) == 11  # of twenty that were submitted
assert len(set(shared)) == 1
assert len(set(own)) == 10
PYTHON
