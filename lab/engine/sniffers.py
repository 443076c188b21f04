"""Captures the packets of every machine during a run."""

from dataclasses import dataclass, field

from pushpull.core.errors import RunStoreError
from pushpull.core.os_errors import file_errors
from pushpull.engine.build import Setting
from pushpull.engine.monitor import RunMonitor
from pushpull.machines.connection import ANSWER_TIMEOUT_S
from pushpull.machines.pool import at_once
from pushpull.machines.remote import Remote
from pushpull.machines.remote_process import RemoteProcess


@dataclass(frozen=True, slots=True)
class Sniffers:
    """One sniffer on each machine, from `begin` to `end`."""

    setting: Setting
    monitor: RunMonitor
    _running: list[RemoteProcess] = field(default_factory=list)

    def begin(self) -> None:
        """Start capturing; LabError if a machine refuses, after ending the other sniffers."""
        try:
            at_once(self.setting.remotes, self._begin_on)
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """End them, and wait until their packets are on the disk."""
        for sniffer in self._running:
            sniffer.end()
        while self._running:
            self._running.pop().wait(ANSWER_TIMEOUT_S)

    def _begin_on(self, remote: Remote) -> None:
        directory = self.setting.directory
        file = directory.packets(remote.name)

        def keep(data: bytes) -> None:
            if not data or file.closed:
                return file.close()
            try:
                with file_errors(directory.path):
                    while data:
                        data = data[file.write(data) :]
            except RunStoreError as error:  # the rest would not be whole packets
                file.close()
                self.monitor.fail(error)

        self._running.append(remote.sniff(self.setting.folder, keep))
