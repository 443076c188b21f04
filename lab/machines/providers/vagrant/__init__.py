"""Virtual machines that Vagrant manages."""

from lab.machines.providers.vagrant.provider import Vms

PROVIDER = Vms
