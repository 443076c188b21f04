"""What a Vagrantfile sets, evaluated with a stand-in for Vagrant (stand_in.rb)."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from vm import needs


def evaluated(vagrantfile: Path, *, kvm: bool = True) -> dict[str, Any]:
    """Return what is set under `config.vm`; `kvm`: as if this computer had it."""
    needs.need("ruby")
    command = ["ruby", needs.HERE / "stand_in.rb", vagrantfile, "kvm" if kvm else ""]
    # An ASCII locale must do: the inventory may hold other letters in its comments.
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    vm: dict[str, Any] = json.loads(done.stdout)["vm"]
    return vm


def addresses(vm: dict[str, Any]) -> dict[str, str]:
    """Return each machine's address on the lab network."""
    return {name: network(vm, name)["ip"] for name in vm["define"]}


def network(vm: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the settings of a machine's only network."""
    [(kind, options)] = vm["define"][name]["vm"]["network"]
    assert kind == "private_network"
    settings: dict[str, Any] = options
    return settings
