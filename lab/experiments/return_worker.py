"""One puller is killed midway and is back later: is the work shared again, and is anything lost?"""

from pushpull.api import Lab, Run, Verdict, claim, experiment
from pushpull.experiments.judges import arriving, leaving, line_formats


@experiment(source="article, 'If I turn it off then bring it back'", reads=line_formats.read)
def return_worker(lab: Lab) -> None:
    pullers = lab.start("pull", on="puller", to="pusher")
    pusher = lab.start("push", on="pusher", count=lab.count, interval=lab.interval)
    victim = lab.first(pullers, prints=lambda line: line_formats.number(line) >= 7)
    lab.kill(victim)
    lab.first(pullers, prints=lambda line: line_formats.number(line) >= 9)
    lab.start_again(victim)
    pusher.wait()


@claim("While it is gone the other machine gets every message.")
def survivor_gets_the_rest(run: Run) -> Verdict:
    return leaving.survivors_get_all_while_it_is_gone(run)


@claim("Once it is back, the work is shared in strict turns.")
def work_is_shared_again(run: Run) -> Verdict:
    return leaving.turns_after(run, leaving.returned(run))


@claim("Nothing that is sent after the kill is lost.")
def nothing_sent_later_is_lost(run: Run) -> Verdict:
    return leaving.none_is_lost(run, leaving.after_the_fault(run))


@claim("No message is received twice.")
def nothing_comes_twice(run: Run) -> Verdict:
    return leaving.none_comes_twice(run)


@claim("Each machine gets its messages in the order in which they were sent.")
def each_gets_them_in_order(run: Run) -> Verdict:
    return arriving.in_order(run)


@claim("Every message arrives as it was sent.", by_chance=True)
def each_arrives_as_sent(run: Run) -> Verdict:
    return arriving.as_sent(run)


@claim("Reconnecting takes no code: the pusher binds once and does nothing more.")
def reconnecting_takes_no_code(run: Run) -> Verdict:
    return leaving.connected_by_itself(run, leaving.returned(run))
