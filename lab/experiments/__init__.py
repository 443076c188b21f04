"""The lab's own experiments, one short module each."""

# What `fab run-experiment` runs by default: the article's runs, in its order.
DEFAULT = ("round_robin", "kill_worker", "rejoin_worker", "return_worker")

# The roles of machines that an experiment needs, of these here, if its module names none.
ROLES = ("pusher", "puller")
