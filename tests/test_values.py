"""Values in lines and traces, and what claims compute of them: exact, whatever a machine prints."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from captured_lines import captured
from hypothesis import given, settings
from hypothesis import strategies as st
from story import run_of

from pushpull.analysis.history import Run
from pushpull.api import intervals, lines, percentile, rate, values
from pushpull.core.records import Record

CLIENT = ("ask", "client")


def run_with(*records: Sequence[Record], **reads: dict[str, str]) -> Run:
    """Return a run with these lines, read by patterns."""
    made = replace(run_of("AB", {"A": 0, "B": 0}), records=[r for part in records for r in part])
    return Run(made, lines(**reads))


def traced(**keys: object) -> Sequence[Record]:
    line = json.dumps({"t": 100.0, "event": "values", **keys})
    return list(captured([line], stream="stderr"))


def test_groups_with_a_name_are_values() -> None:
    said = ["reply 7 after 1.5 ms", "reply 8 after 2e3 ms, 12 bytes", "depth 4", "hello"]
    run = run_with(
        captured(said, CLIENT, t=9.0),
        received={"client": r"reply (\d+) after (?P<latency_ms>[^ ]+) ms(?:, (?P<bytes>\d+) .*)?"},
        values={"client": r"depth (?P<depth>\d+)"},
    )
    assert list(run.values) == ["bytes", "depth", "latency_ms"]
    latencies = values(run, "latency_ms")
    assert (latencies.numbers.tolist(), latencies.messages.tolist()) == ([1.5, 2000.0], [7, 8])
    assert latencies.times.tolist() == [9.0, 9.0]
    assert latencies.machines == ["ask"]
    assert values(run, "depth").messages.tolist() == [-1]
    assert values(run, "bytes", by="ask").numbers.tolist() == [12.0]
    assert len(values(run, "bytes", by="pull-1")) == len(values(run, "never")) == 0


def test_the_number_may_be_anywhere_and_a_value_line_may_have_one() -> None:
    said = ["took 3 ms for 7", "queue 5 at 8"]
    run = run_with(
        captured(said, CLIENT),
        received={"client": r"took (?P<ms>\d+) ms for (?P<number>\d+)"},
        values={"client": r"queue (?P<queue>\d+) at (?P<number>\d+)"},
    )
    assert [message.number for message in run.received] == [7]
    assert (list(run.values), values(run, "queue").messages.tolist()) == (["ms", "queue"], [8])


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e308", 1e308), ("-0.5", -0.5), ("inf", math.inf), ("1e999", math.inf), ("nan", math.nan),
     ("1.2.3", math.nan), ("1_000", math.nan), ("", math.nan), ("\u0663", 3.0)],
)  # fmt: skip
def test_any_text_of_a_value(text: str, value: float) -> None:
    run = run_with(captured([f"x={text}"], CLIENT), values={"client": "x=(?P<x>.*)"})
    assert repr(values(run, "x").numbers.tolist()) == repr([value])


def test_traces_carry_values_of_any_name() -> None:
    run = run_with(
        traced(values={"latency ms": 3, "<b>": 1e308}, number=4),
        traced(values={"latency ms": None, "text": "7", "yes": True}),
        traced(values=[1]),
        captured(['{"t": 100.0, "event": "values", "values": {"x": NaN}}'], stream="stderr"),
        captured(['{"t": 100.0, "event": "values", "values": {"x": 1}}'], stream="stdout"),
    )
    found = {name: one.numbers.tolist() for name, one in run.values.items()}
    assert repr(found) == "{'<b>': [1e+308], 'latency ms': [3.0, nan], 'text': [nan], 'yes': [nan]}"
    assert values(run, "latency ms").messages.tolist() == [4, -1]


def test_times_of_traces_are_on_the_harness_clock_and_in_order() -> None:
    made = run_of("AB", {"A": 0, "B": 0})
    clocks = {"pull-1": {"offset_s": 5.0, "uncertainty_s": 0.0, "monotonic_ahead_s": -1000.0}}
    late, early = traced(t=105.0, values={"x": 1}), traced(t=999.0, m=3.0, values={"x": 2})
    described = {**made.description, "clocks": clocks}
    run = Run(replace(made, description=described, records=[*late, *early]), lines())
    assert values(run, "x").times.tolist() == [100.0, 1003.0]
    assert values(run, "x").numbers.tolist() == [1, 2]


def test_a_name_for_each_value_takes_no_more_room_than_a_thousand() -> None:
    said = (json.dumps({"t": 1.0, "event": "values", "values": {f"x{k}": k}}) for k in range(1500))
    run = run_with(captured(said, stream="stderr"))
    assert len(run.values) == 1000
    assert values(run, "x999").numbers.tolist() == [999]


@settings(deadline=None)  # the first one imports NumPy
@given(st.lists(st.floats(allow_nan=True), max_size=30), st.floats(0, 100))
def test_a_percentile_is_the_nearest_rank(numbers: list[float], percent: float) -> None:
    known = sorted(number for number in numbers if not math.isnan(number))
    found = percentile(numbers, percent)
    if not known:
        assert found is None
        return
    assert found in known
    share = percent / 100 * len(known)
    assert sum(number <= found for number in known) >= share - 1e-9
    assert sum(number < found for number in known) <= max(share, 0) + 1e-9


def test_percentiles_of_one_to_ten() -> None:
    assert [percentile(range(1, 11), p) for p in (0, 50, 90, 91, 100)] == [1, 5, 9, 10, 10]
    assert percentile([], 99) is None
    with pytest.raises(ValueError, match="from 0 to 100"):
        percentile([1], 101)


def test_intervals_and_rates() -> None:
    assert intervals([3.0, 1.0, 1.5]).tolist() == [0.5, 1.5]
    assert rate([3.0, 1.0, 1.5]) == 1.0
    assert (rate([]), rate([1.0]), rate([2.0, 2.0])) == (None, None, None)
    run = run_with(traced(t=1.0, values={"x": 9}), traced(t=3.0, values={"x": 9}))
    assert rate(values(run, "x")) == 0.5
    assert percentile(values(run, "x"), 50) == 9


def test_a_pattern_without_a_named_value_is_refused() -> None:
    with pytest.raises(ValueError, match=r"name the value's group"):
        lines(values={"client": r"depth (\d+)"})


def test_where_the_lab_set_the_clock_only_the_capture_counts() -> None:
    made = run_of("AB", {"A": 0, "B": 0})
    clocks = {"pull-1": {"offset_s": 0.0, "uncertainty_s": 0.0, "monotonic_ahead_s": -1000.0,
                         "wall_ahead_s": 3600.0}}  # fmt: skip
    line = '{"t": 9.0, "event": "values", "values": {"x": 1}}'
    steady = '{"t": 9.0, "m": 5.0, "event": "values", "values": {"x": 2}}'
    described = {**made.description, "clocks": clocks}
    records = list(captured([line, steady], stream="stderr", t=7.0))
    run = Run(replace(made, description=described, records=records), lines())
    assert values(run, "x").times.tolist() == [7.0, 1005.0]
