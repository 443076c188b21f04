"""From inventory.yaml to machines that answer SSH; knows no message and no claim."""
