"""One puller is off until the other has printed message 7: is the work shared from then on?"""

from pushpull.analysis import history
from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.experiments.judges import leaving, line_formats


@experiment(source="article, 'If I turn it off then bring it back'", reads=line_formats.read)
def rejoin_worker(lab: Lab) -> None:
    *present, absent = lab.machines("puller")
    pullers = lab.start("pull", on=present, to="pusher")
    pusher = lab.start("push", on="pusher", count=lab.count, interval=lab.interval)
    lab.first(pullers, prints=lambda line: line_formats.number(line) >= 7)
    lab.start("pull", on=absent, to="pusher")
    pusher.wait()


@claim("Until the second machine is on, the first gets every message.")
def others_get_all_at_first(run: Run) -> Verdict:
    return leaving.all_before(run, leaving.late_one(run))


@claim("Once it is on, the work is shared in strict turns.")
def work_is_shared_again(run: Run) -> Verdict:
    return leaving.turns_after(run, leaving.late_one(run))


@claim("Each message goes to exactly one machine.")
def each_to_exactly_one(run: Run) -> Verdict:
    return history.exactly_once(run, run.planned)


@claim("Connecting late takes no code: the programs are the same, and none is started again.")
def connecting_takes_no_code(run: Run) -> Verdict:
    return leaving.connected_by_itself(run, leaving.late_one(run))
