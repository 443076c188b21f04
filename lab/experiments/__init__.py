"""The lab's own experiments, one short module each."""

# What `fab run-experiment` runs by default: the article's runs, in its order.
DEFAULT = ("round_robin", "kill_worker", "rejoin_worker", "return_worker")

# The roles of machines that these experiments need.
ROLES = ("pusher", "puller")
