"""`@experiment(faults=...)` takes names and values; a name that no fault has is a mistake."""

from pathlib import Path

import pytest
from command import PROJECT
from engine_play import Play, untraced
from fake_machine import FakeProcess
from own_folder import CLAIM, HEAD, SCENARIO

from pushpull.core import faults
from pushpull.core.errors import LabError
from pushpull.core.faults.machine import CUT_CABLE, CUT_POWER
from pushpull.core.faults.network import PARTITION
from pushpull.engine.judge import judged
from pushpull.experiments import catalogue, run_here


def write(folder: Path, faults: str) -> str:
    scenario = SCENARIO.replace("count=3,", f"count=3, faults={faults},")
    values = "from pushpull.core.faults.machine import CUT_CABLE, CUT_POWER\n"
    (folder / "experiment.py").write_text(HEAD + values + scenario + CLAIM)
    return str(folder)


@pytest.mark.parametrize(
    ("faults", "meant"),
    [
        ('("cut_power",)', [CUT_POWER]),
        ('["cut_power", "partition"]', [CUT_POWER, PARTITION]),
        ('"cut_power"', [CUT_POWER]),
        ("(CUT_POWER,)", [CUT_POWER]),
        ('(CUT_POWER, "cut_cable")', [CUT_POWER, CUT_CABLE]),
        ("()", []),
    ],
)
def test_faults_are_named_or_given(folder: Path, faults: str, meant: list[object]) -> None:
    assert catalogue.load(write(folder, faults)).faults_of("") == meant


def test_each_variant_has_its_own(folder: Path) -> None:
    faults = '{"dark": ("cut_power",), "cut": "cut_cable"}, variants=("dark", "cut", "calm")'
    experiment = catalogue.load(write(folder, faults))
    found = [experiment.faults_of(variant) for variant in experiment.variants]
    assert found == [[CUT_POWER], [CUT_CABLE], []]


@pytest.mark.parametrize(
    ("faults", "says", "hint"),
    [
        ('("cutpower",)', "there is no fault 'cutpower'", "did you mean 'cut_power'?"),
        ('("limit_rate",)', "there is no fault 'limit_rate'", "did you mean 'rate'?"),
        ('("earthquake",)', "there is no fault 'earthquake'", "there are: terminate, "),
        ("(7,)", "there is no fault '7'", "there are: "),
        ('{"drak": "cut_power"}, variants=("dark",)', "variant 'drak'", "there are: dark"),
    ],
)
def test_an_unknown_name_is_a_mistake_of_the_experiments(
    folder: Path, faults: str, says: str, hint: str
) -> None:
    with pytest.raises(LabError) as refused:
        catalogue.load(write(folder, faults))
    assert says in refused.value.what
    assert hint in refused.value.hint
    assert "experiment.py:" in refused.value.where
    assert "can't do" not in str(refused.value)


def test_the_chapter_on_own_experiments_lists_every_fault() -> None:
    chapter = (PROJECT / "docs" / "own-experiment.md").read_text()
    section = chapter.partition("### All faults")[2].partition("###")[0]
    assert {name for name in faults.ALL if f"`{name}`" not in section} == set()


def test_what_the_provider_cannot_do_is_another_mistake(play: Play) -> None:
    with pytest.raises(LabError, match="needs partition, which the provider 'fake' can't do"):
        play(_ends, _ends, faults=("partition", "kill"))


def test_a_run_with_a_fault_of_another_version_is_judged(play: Play, impatient: None) -> None:
    done = play(untraced(_ends), untraced(_ends))
    module = Path(done.stored.description["module"])
    run_here.remember(module)
    module.write_text(module.read_text().replace("faults=()", "faults=('melt',)"))
    experiment = catalogue.of_run(done.stored)
    assert experiment.faults == {"": ("melt",)}
    verdicts = judged(done.stored, experiment).verdicts
    assert [v["verdict"] for v in verdicts] == [verdict for verdict, _ in done.verdicts.values()]
    with pytest.raises(LabError, match="no fault 'melt'"):
        catalogue.load(str(module.parent))


def _ends(process: FakeProcess) -> None:
    process.prints("0")
