"""What the help says of flags that several tasks have."""

EXPERIMENT = "one experiment, by name or by your own folder; without it, the default ones"
INVENTORY = "the file that names the machines (inventory.yaml)"
MACHINE = "the machine's name, as in the inventory"
PROVIDER = "where machines come from: auto, or one of those that `fab providers` lists"
AT_ONCE = "how many labs run side by side (as many as this computer carries)"
RUN = "a run, by name or path; default: the last"
RUNS = "the folder of the run directories"
