"""One of the pullers is killed midway: who gets the rest, and is anything lost?"""

from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.experiments.judges import leaving, line_formats


@experiment(source="article, 'kill one of the PULL machines midway'", reads=line_formats.read)
def kill_worker(lab: Lab) -> None:
    pullers = lab.start("pull", on="puller", to="pusher")
    pusher = lab.start("push", on="pusher", count=lab.count, interval=lab.interval)
    victim = lab.first(pullers, prints=lambda line: line_formats.number(line) >= 7)
    lab.kill(victim)
    pusher.wait()


@claim("After the kill the other machine gets every message.")
def survivor_gets_the_rest(run: Run) -> Verdict:
    return leaving.survivors_get_all(run, leaving.after_the_fault(run))


@claim("Nothing that is sent after the kill is lost.")
def nothing_sent_later_is_lost(run: Run) -> Verdict:
    return leaving.none_is_lost(run, leaving.after_the_fault(run))


@claim("No message is received twice.")
def nothing_comes_twice(run: Run) -> Verdict:
    return leaving.none_comes_twice(run)
