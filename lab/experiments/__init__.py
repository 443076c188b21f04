"""The experiments that come with the lab: one short module each."""

# What `fab run-experiment` runs when none is named: the article's runs, in its order.
DEFAULT = ("round_robin", "kill_worker", "rejoin_worker", "return_worker")

# The roles that a machine must have for these to run.
ROLES = ("pusher", "puller")
