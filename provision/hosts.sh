#!/bin/sh
# Lets a machine of the lab find the others by name: writes them at the top of /etc/hosts, where they
# go before the 127.0.1.1 that a system gives its own name. Running it again replaces them.
#
#   sudo sh provision/hosts.sh ADDRESS NAME [ADDRESS NAME]...
#
# Each `vagrant up` runs this on each VM, with the machines of inventory.yaml.

set -eu
export LC_ALL=C

begin='# The lab writes these lines:'
end='# End of the lab.'

lines=$begin
while [ $# -ge 2 ]; do
    case $1$2 in *[!0-9A-Za-z.:-]*)
        printf 'hosts: "%s %s" is no address and name\n' "$1" "$2" >&2
        exit 1
        ;;
    esac
    lines="$lines
$1 $2"
    shift 2
done
others=$(sed "/^$begin\$/,/^$end\$/d" /etc/hosts)
# In place: the file keeps its owner and mode, and may be a mount.
printf '%s\n' "$lines" "$end" "$others" >/etc/hosts
