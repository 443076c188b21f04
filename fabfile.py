"""The table of contents: hands the tasks of lab/cli/tasks.py to `fab`."""

from invoke import Collection

from pushpull.cli import tasks

namespace = Collection.from_module(tasks)
