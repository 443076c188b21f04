"""Judge a run, and print its verdicts as JSON: `python -m benchmarks.judging RUN`.

It is what `fab report --judge` does, without the page.
"""

import json
import sys
from pathlib import Path

from pushpull.engine.judge import judge
from pushpull.experiments import catalogue
from pushpull.runs import store


def main() -> None:
    stored = store.load(Path(sys.argv[1]))
    verdicts = judge(stored, catalogue.of_run(stored), partial=stored.state != "finished")
    json.dump(verdicts, sys.stdout)


if __name__ == "__main__":
    main()
