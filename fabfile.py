"""The table of contents: hands the tasks of lab/tasks.py to `fab`."""

from invoke import Collection

from lab import tasks

namespace = Collection.from_module(tasks)
