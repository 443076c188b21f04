"""Virtual machines, by Vagrant."""

from lab.machines.providers.vagrant.provider import Vms

PROVIDER = Vms
