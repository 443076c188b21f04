"""Virtual machines that Vagrant manages."""
