"""Virtual machines that Vagrant manages."""

from pushpull.machines.providers.vagrant.provider import Vms

PROVIDER = Vms
