"""Scripts deployed to every machine: they use only the standard library, and nothing of the lab."""
