"""Six workers; the second leaves, a seventh comes, the first leaves: whose turn is it then?"""

from pushpull.api import Lab, Outcome, Run, Verdict, claim, experiment
from pushpull.experiments.judges import line_formats, turns

ROUND = 12  # messages between two changes: more than it takes for each to have its turn


@experiment(
    source="article, 'What if a worker leaves?'",
    reads=line_formats.read,
    count=250,  # enough even where each worker takes a second to start
    interval=0.04,
    takes=4,
)
def leaving_the_turn(lab: Lab) -> None:
    pusher = lab.start("push", on="pusher", **lab.plan)
    workers = turns.one_after_another(lab, 6)
    for leaver, newcomers in ((workers[1], 1), (workers[0], 0)):
        lab.more(pusher, lines=ROUND)
        lab.kill(leaver)
        lab.more(pusher, lines=ROUND)
        turns.one_after_another(lab, newcomers)
    pusher.wait()


@claim(
    "When a worker leaves, the last of the turn takes its slot; a newcomer joins at the end.",
    rests_on="libzmq 4.3.5, src/lb.cpp, lines 24-42 (pipe_terminated) and 44-49 (activated)",
)
def last_takes_its_place(run: Run) -> Verdict:
    return turns.follow(run, turns.last_takes_its_place)


@claim(
    "When a worker leaves, the others keep their order.",
    source="what most texts on round robin say or imply",
    expected=Outcome.REFUTED,
    because="the last of the turn is swapped into the slot of the one that leaves",
    rests_on="libzmq 4.3.5, src/lb.cpp, line 37 (pipe_terminated: _pipes.swap)",
)
def others_keep_their_order(run: Run) -> Verdict:
    return turns.keep_their_order(run)


@claim(
    "However many workers leave, the remaining ones get equal shares.",
    rests_on="libzmq 4.3.5, src/lb.cpp, lines 122-123 (sendpipe)",
)
def shares_are_equal(run: Run) -> Verdict:
    return turns.equal_shares(run)
