"""The `fab` tasks: parse, call, print. The only room that knows Fabric's tasks and exit codes."""
