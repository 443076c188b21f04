#!/bin/sh
# Makes a bare Debian what Vagrant expects of a box.
#
#   box-contents.sh ROOT      called by box.sh before the file system in ROOT is packed
set -eu
cd "$1"

echo '/dev/vda1 / ext4 noatime 0 0' >etc/fstab
printf '127.0.0.1 localhost\n127.0.1.1 lab\n' >etc/hosts
echo lab >etc/hostname
: >etc/machine-id

# Vagrant's user with its well-known key, which `vagrant up` replaces. The key is an old one of RSA.
chroot . useradd --create-home --shell /bin/bash vagrant
install -m 700 -d home/vagrant/.ssh
install -m 600 /usr/share/rubygems-integration/all/gems/vagrant-*/keys/vagrant.pub \
    home/vagrant/.ssh/authorized_keys
chroot . chown -R vagrant: /home/vagrant/.ssh
echo 'vagrant ALL=(ALL) NOPASSWD: ALL' >etc/sudoers.d/vagrant
printf 'UseDNS no\nPubkeyAcceptedAlgorithms +ssh-rsa\n' >etc/ssh/sshd_config.d/vagrant.conf
# Each machine makes host keys of its own at its first boot, as those of a real box do.
rm etc/ssh/ssh_host_*
cat >etc/systemd/system/host-keys.service <<'UNIT'
[Unit]
Before=ssh.service
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key
[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key
[Install]
WantedBy=multi-user.target
UNIT
echo 'HostKey /etc/ssh/ssh_host_ed25519_key' >>etc/ssh/sshd_config.d/vagrant.conf

cat >etc/systemd/network/20-eth0.network <<'NETWORK'
[Match]
Name=eth0
[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no
[DHCPv4]
ClientIdentifier=mac
UseHostname=no
NETWORK
chroot . systemctl enable systemd-networkd.service host-keys.service
chroot . systemctl mask systemd-networkd-wait-online.service getty@tty1.service \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer \
    e2scrub_reap.service systemd-pstore.service modprobe@drm.service
chmod u+s bin/ping # the file system is made without file capabilities

# A small initial RAM disk, with what a VM's disk and network need.
printf 'virtio_pci\nvirtio_blk\nvirtio_net\n' >>etc/initramfs-tools/modules
sed -i 's/^MODULES=.*/MODULES=list/; s/^COMPRESS=.*/COMPRESS=gzip/' \
    etc/initramfs-tools/initramfs.conf
chroot . update-initramfs -u
rm -rf var/cache/apt/* var/lib/apt/lists/*
