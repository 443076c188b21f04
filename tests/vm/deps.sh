#!/bin/sh
# Installs Debian's packages for real VMs. Starts no service, and leaves no policy behind.
set -eu

policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

# libvirt-daemon-system stays out: it would upgrade systemd, and its only use is to start a service.
export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
apt-get -qq install --no-install-recommends -y \
    vagrant vagrant-libvirt libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients \
    qemu-system-x86 qemu-utils dnsmasq-base iptables iproute2 \
    mmdebstrap e2fsprogs fdisk grub-pc-bin rsync openssh-client shellcheck >/dev/null
