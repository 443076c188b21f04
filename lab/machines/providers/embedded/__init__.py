"""The embedded lab: machines made of this computer's namespaces, or plain processes."""
