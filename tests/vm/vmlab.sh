#!/bin/sh
# Runs a command beside a libvirt of its own, in network, mount and process namespaces of their own.
#
#   vmlab.sh FOLDER COMMAND...      as root; FOLDER holds the machines' disks and libvirt's log
#
# Whatever talks to the machines must run in there too: outside, their addresses are a stranger's.
# When the command ends or this script is killed (kill -9: unshare takes no other), every machine,
# bridge and address is gone.
set -eu

if [ "$1" != --inside ]; then
    exec unshare --net --mount --pid --fork --kill-child --mount-proc "$0" --inside "$@"
fi
folder=$2
shift 2

ip link set lo up
for place in /etc/libvirt /run/libvirt /var/lib/libvirt; do
    mkdir -p "$place"
    mount -t tmpfs tmpfs "$place"
done
mkdir -p "$folder/images" /var/lib/libvirt/images
mount --bind "$folder/images" /var/lib/libvirt/images

# libvirt wants a user that a package of Debian's makes which starts services.
for file in passwd group; do
    cp "/etc/$file" "/run/libvirt/$file"
done
echo 'libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin' >>/run/libvirt/passwd
printf 'kvm:x:64054:\nlibvirt-qemu:x:64055:\n' >>/run/libvirt/group
for file in passwd group; do
    mount --bind "/run/libvirt/$file" "/etc/$file"
done

cat >/etc/libvirt/qemu.conf <<'CONF'
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = [ ]
namespaces = [ ]
stdio_handler = "file"
CONF
cat >/etc/libvirt/libvirtd.conf <<CONF
auth_unix_ro = "none"
auth_unix_rw = "none"
log_outputs = "2:file:$folder/libvirtd.log"
CONF
libvirtd --daemon --config /etc/libvirt/libvirtd.conf --pid-file /run/libvirt/libvirtd.pid
"$@"
