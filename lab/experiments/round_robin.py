"""Two pullers run, then the pusher starts: who gets which message? The article's first run."""

from pushpull.api import Lab, Need, Outcome, Run, Verdict, claim, exactly_once, experiment
from pushpull.experiments.judges import arriving, connecting, line_formats

TURN = "libzmq 4.3.5, src/lb.cpp, lb_t::sendpipe and lb_t::activated"


@experiment(source="article, 'On the first machine'", reads=line_formats.read)
def round_robin(lab: Lab) -> None:
    lab.start("pull", on="puller", to="pusher")
    pusher = lab.start("push", on="pusher", count=lab.count, interval=lab.interval)
    pusher.wait()


@claim("The work is divided between the machines.")
def work_is_divided(run: Run) -> Verdict:
    return connecting.each_gets_some(run)


@claim("Each message goes to exactly one machine.")
def each_to_exactly_one(run: Run) -> Verdict:
    return exactly_once(run, run.planned)


@claim("Each machine gets its messages in the order in which they were sent.")
def each_gets_them_in_order(run: Run) -> Verdict:
    return arriving.in_order(run)


@claim("Every message arrives as it was sent.", by_chance=True)
def each_arrives_as_sent(run: Run) -> Verdict:
    return arriving.as_sent(run)


@claim("After the beginning the machines take strict turns.")
def turns_are_strict(run: Run) -> Verdict:
    return connecting.turns_once_all_are_connected(run)


@claim("The first machine gets the first two messages in a row.", by_chance=True, need=Need.MOST)
def first_gets_two(run: Run) -> Verdict:
    return connecting.pair_at_the_start(run)


@claim("A machine that was alone for k messages gets k + 1 in a row.", source=TURN, by_chance=True)
def alone_for_k_gets_one_more(run: Run) -> Verdict:
    return connecting.one_more_than_alone(run)


@claim(
    "It gets two because the second machine has not yet connected.",
    expected=Outcome.REFUTED,
    because="the second connects before message 1 is sent; libzmq's turn repeats the first",
    by_chance=True,
)
def because_second_is_not_connected(run: Run) -> Verdict:
    return connecting.second_was_missing(run)
