"""What is deployed to every machine: standard library only, imports nothing of the lab."""
