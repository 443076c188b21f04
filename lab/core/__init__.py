"""Words that every room shares; imports nothing of the lab."""
