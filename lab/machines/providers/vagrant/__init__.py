"""Virtual machines, by Vagrant."""
