"""Constants that rooms on several floors share: the lab's port, the folders of a run, brokers."""

BROKER = "broker"  # a program between senders and receivers, and the role of a machine for it
PORT = 1234  # where the lab's programs meet

# The folders of a run on a machine: the user's, in which programs run, and the lab's beside it.
FILES, AGENT = "files", "agent"

# Where a machine that isn't this computer has what is installed for the lab's programs.
IMPLEMENTATIONS = "/opt/lab/implementations"
