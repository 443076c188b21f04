"""As much of libnanomsg as both programs need, and what they report: one JSON object a line."""

import ctypes
import json
import os
import platform
import time

PUSH, PULL = 80, 81
_AF_SP, _NN_MSG = 1, ctypes.c_size_t(-1).value

_library = ctypes.CDLL("libnanomsg.so.5", use_errno=True)
_library.nn_strerror.restype = ctypes.c_char_p
_library.nn_recv.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_library.nn_send.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]
_library.nn_freemsg.argtypes = [ctypes.c_void_p]
_ahead = time.time() - time.monotonic()  # the wall clock may be set while this runs


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(_library.nn_strerror(_library.nn_errno()).decode())
    return result


class Socket:
    """A socket of nanomsg, which reports what happens if it is asked to."""

    def __init__(self, kind: int, *, tracing: bool) -> None:
        self._tracing = tracing
        self._socket = _checked(_library.nn_socket(_AF_SP, kind))

    def trace(self, event: str, **details: object) -> None:
        if self._tracing:
            m = time.monotonic()
            line = json.dumps({"t": _ahead + m, "m": m, "event": event, **details})
            os.write(2, f"{line}\n".encode())

    def begin(self, addresses: "list[str]", *, bind: bool) -> None:
        begin = _library.nn_bind if bind else _library.nn_connect
        for address in addresses:
            _checked(begin(self._socket, address.encode()))
        self.trace("ready", nanomsg="libnanomsg.so.5", python=platform.python_version())

    def send(self, message: bytes) -> None:
        _checked(_library.nn_send(self._socket, message, len(message), 0))

    def recv(self) -> bytes:
        message = ctypes.c_void_p()
        size = _checked(_library.nn_recv(self._socket, ctypes.byref(message), _NN_MSG, 0))
        try:
            return ctypes.string_at(message, size)
        finally:
            _library.nn_freemsg(message)
