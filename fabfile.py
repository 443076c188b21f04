"""The table of contents: hands the tasks of lab/cli/tasks/ to `fab`."""

from pushpull.cli.tasks import collection

namespace = collection()
