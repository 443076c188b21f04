"""The tasks of `fab`: each reads its flags, calls one function of the package and prints."""

from invoke import Collection

from pushpull.cli.tasks import machines, making, reading


def collection() -> Collection:
    """Return all tasks, by their names."""
    tasks = Collection()
    for module in (making, reading, machines):
        for task in Collection.from_module(module).tasks.values():
            tasks.add_task(task)
    return tasks
