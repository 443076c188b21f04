#!/bin/sh
# Lets a machine of the lab find all of them by name: writes them at the top of /etc/hosts, and takes
# their names off other loopback addresses. (Debian gives a machine's own name 127.0.1.1, Vagrant
# 127.0.2.1: a program that binds to its machine's name would be out of reach for all others.)
# Running it again replaces the lines.
#
#   sudo sh provision/hosts.sh ADDRESS NAME [ADDRESS NAME]...
#
# Each `vagrant up` runs this on each VM, with the machines of inventory.yaml.

set -eu
export LC_ALL=C

begin='# The lab writes these lines:'
end='# End of the lab.'

lines=$begin
names=
while [ $# -ge 2 ]; do
    case $1$2 in *[!0-9A-Za-z.:-]*)
        printf 'hosts: "%s %s" is no address and name\n' "$1" "$2" >&2
        exit 1
        ;;
    esac
    lines="$lines
$1 $2"
    names="$names $2"
    shift 2
done
others=$(sed "/^$begin\$/,/^$end\$/d" /etc/hosts | awk -v names="$names " '
    /^127\./ && $1 != "127.0.0.1" {
        line = $1
        for (i = 2; i <= NF && $i !~ /^#/; i++) if (!index(names, " " $i " ")) line = line " " $i
        if (line != $1) print line
        next
    }
    { print }
')
# In place: the file keeps its owner and mode, and may be a mount.
printf '%s\n' "$lines" "$end" "$others" >/etc/hosts
