"""Pure functions over stored runs: no socket, no thread, no terminal."""
