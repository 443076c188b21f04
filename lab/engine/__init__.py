"""An experiment that runs: processes, triggers, faults. The only room that waits."""
