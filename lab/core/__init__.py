"""What every room shares: errors, records, verdicts, traces, clocks; imports nothing of the lab."""
