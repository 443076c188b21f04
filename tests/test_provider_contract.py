"""The contract of providers, on each of the lab's own that needs nothing of the user's."""

from provider_contract import *  # noqa: F403
