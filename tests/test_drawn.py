"""Of very many messages, the charts draw a fair part and everything that went wrong."""

import numpy as np
import pytest

from pushpull.report.chart_data import kept


@pytest.mark.parametrize("machines", [2, 3, 4, 8, 10, 16])
@pytest.mark.parametrize("count", [2_001, 10_000, 70_000])
def test_each_machine_has_its_share_of_what_is_drawn(machines: int, count: int) -> None:
    lost = np.arange(count) % 1000 == 999
    drawn, stride = kept(lost, 2_000)
    assert stride > 1
    assert lost[drawn].sum() == count // 1000
    assert len(drawn) <= 2_100
    fair = (len(drawn) - count // 1000) / machines
    for k in range(machines):
        assert (~lost[drawn] & (drawn % machines == k)).sum() == pytest.approx(fair, rel=0.25)


def test_of_few_messages_each_is_drawn() -> None:
    drawn, stride = kept(np.zeros(2_000, np.bool_), 2_000)
    assert (list(drawn), stride) == (list(range(2_000)), 1)
