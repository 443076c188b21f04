"""Of very many messages, the charts draw a fair part and everything that went wrong."""

import pytest

from lab.analysis.timeline import Delivery
from lab.report.chart_data import kept


def _passages(count: int, machines: int) -> list[Delivery]:
    return [
        Delivery(
            number=n,
            by="push",
            to="" if n % 1000 == 999 else f"pull-{n % machines}",
            sent=float(n),
            got=None if n % 1000 == 999 else float(n),
            fate="lost" if n % 1000 == 999 else "arrived",
        )
        for n in range(count)
    ]


@pytest.mark.parametrize("machines", [2, 3, 4, 8, 10, 16])
@pytest.mark.parametrize("count", [2_001, 10_000, 70_000])
def test_each_machine_has_its_share_of_what_is_drawn(machines: int, count: int) -> None:
    deliveries = _passages(count, machines)
    places, stride = kept(deliveries, 2_000)
    drawn = [deliveries[i] for i in places]
    assert stride > 1
    assert sum(p.fate == "lost" for p in drawn) == count // 1000
    assert len(drawn) <= 2_100
    fair = (len(drawn) - count // 1000) / machines
    for k in range(machines):
        assert sum(p.to == f"pull-{k}" for p in drawn) == pytest.approx(fair, rel=0.25)


def test_of_few_messages_each_is_drawn() -> None:
    assert kept(_passages(2_000, 2), 2_000) == (list(range(2_000)), 1)
