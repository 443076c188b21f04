"""The push-pull lab: messaging experiments on several machines, judged claim by claim.

Its import name is `pushpull`, which a link beside this folder stands for, as `lab` may be anyone's.
"""

__version__ = "0.1.0"

if __name__ == "lab":  # imported by the folder's name: each module would exist twice
    raise ImportError("the lab's import name is pushpull: from pushpull.api import ...")
