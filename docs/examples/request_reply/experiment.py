"""A client asks a server that takes 50 ms for every tenth request. How long does it wait?"""

from pushpull import api
from pushpull.api import Run, Verdict, claim, experiment


@experiment(
    source="the ZeroMQ guide, chapter 1: 'Ask and Ye Shall Receive'",
    reads=api.lines(
        sent={"client": r"ask (\d+)"},
        received={"server": r"served (\d+) in (?P<work_ms>[\d.]+) ms"},
        values={"client": r"reply (?P<number>\d+) after (?P<latency_ms>[\d.]+) ms"},
    ),
    count=100,
    interval=0.01,
)
def request_reply(lab: api.Lab) -> None:
    lab.start("server", on="server", ready=1234)
    lab.start("client", on="client", to="server").wait()


@claim("Each request is served exactly once.")
def each_is_served(run: Run) -> Verdict:
    return api.exactly_once(run, run.planned)


@claim("Half of the replies come within 25 ms, but one in a hundred takes over 50 ms.", timed=True)
def the_median_hides_it(run: Run) -> Verdict:
    median, p99 = (api.percentile(api.values(run, "latency_ms"), p) for p in (50, 99))
    if median is None or p99 is None or len(run.planned) < 10:
        return Verdict.not_observed("There were too few replies.")
    verdict = Verdict.holds if median < 25 and p99 > 50 else Verdict.refuted
    return verdict(f"The median is {median:.1f} ms, the 99th percentile {p99:.1f} ms.")
