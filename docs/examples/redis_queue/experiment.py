"""A list of Redis is a queue between a source and two workers. Does each job arrive once?"""

from pushpull.api import Lab, Run, Verdict, claim, exactly_once, experiment, lines


@experiment(
    source="redis.io/docs/latest/commands/brpop",
    reads=lines(sent={"put": r"put (\d+)"}, received={"take": r"took (\d+)"}),
    interval=0.05,
    needs=["redis-server", "redis-cli"],
    versions={"redis": ["redis-server", "--version"]},
    machines={"source": 1, "queue": 1, "worker": 2},
)
def redis_queue(lab: Lab) -> None:
    server = ["redis-server", "--port", "1234", "--protected-mode", "no", "--save", ""]
    lab.start(server, on="queue", ready=1234)
    lab.start("take", on="worker", to="queue")
    lab.start("put", on="source", to="queue").wait()


@claim("Each job goes to one worker, exactly once.")
def each_arrives_once(run: Run) -> Verdict:
    return exactly_once(run, run.planned)
