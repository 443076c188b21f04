"""The embedded lab: machines made from this computer's namespaces, or from plain processes."""
