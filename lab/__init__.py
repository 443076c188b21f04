"""The push-pull lab: messaging experiments on several machines, judged claim by claim.

Its import name is `pushpull`, which a link beside this folder stands for, as `lab` may be anyone's.
"""

import sys

__version__ = "0.1.0"

# `python -m lab` runs __main__.py, which imports the rest by its own name. Whoever imports the
# folder's name would get each module twice.
if __name__ == "lab" and sys.argv[:1] != ["-m"]:
    raise ImportError("the lab's import name is pushpull: from pushpull.api import ...")
