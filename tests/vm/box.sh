#!/bin/sh
# Builds a Vagrant box for libvirt from Debian's packages: no ready image is needed, nor a loop mount.
#
#   box.sh OUT.box      as root
#
# It has what a box of Ubuntu Server has (systemd-networkd, sshd, Python without venv, a time service)
# and, so that it boots soon without KVM, little else.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
out=$1
size=2048 # MiB
scratch=$(mktemp -d "${TMPDIR:-/tmp}/box.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' HUP INT TERM
root=$scratch/root

mmdebstrap --quiet --variant=minbase --format=directory \
    --aptopt='Acquire::Languages "none"' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --include=linux-image-cloud-amd64,initramfs-tools,kmod,udev,systemd,systemd-sysv,systemd-timesyncd \
    --include=dbus,openssh-server,sudo,iproute2,iputils-ping,netbase,procps,python3 \
    --customize-hook="sh '$here/box-contents.sh' \"\$1\"" \
    bookworm "$root"

# A disk with one partition: GRUB's first stage, its core with the modules it needs, a file system.
kernel=$(cd "$root/boot" && find . -name 'vmlinuz-*' | sort -V | tail -n 1)
kernel=${kernel#./}
mkdir -p "$root/boot/grub"
cat >"$root/boot/grub/grub.cfg" <<GRUB
set timeout=0
linux /boot/$kernel root=/dev/vda1 rw rootfstype=ext4 console=ttyS0 quiet net.ifnames=0 apparmor=0 audit=0 mitigations=off no_timer_check random.trust_cpu=on
initrd /boot/initrd.img-${kernel#vmlinuz-}
boot
GRUB
mke2fs -q -F -t ext4 -O ^has_journal -m 0 -d "$root" "$scratch/partition" "$((size - 1))M"
grub-mkimage -O i386-pc -o "$scratch/core.img" -p '(hd0,msdos1)/boot/grub' \
    biosdisk part_msdos ext2 linux normal boot configfile
truncate -s "${size}M" "$scratch/disk"
echo 'start=2048, type=83, bootable' | sfdisk -q "$scratch/disk"
put() { dd if="$1" of="$scratch/disk" conv=notrunc,sparse status=none "$2" "$3"; }
put /usr/lib/grub/i386-pc/boot.img bs=440 count=1
put "$scratch/core.img" bs=512 seek=1
put "$scratch/partition" bs=1M seek=1
qemu-img convert -O qcow2 "$scratch/disk" "$scratch/box.img"

cat >"$scratch/metadata.json" <<JSON
{"provider": "libvirt", "format": "qcow2", "virtual_size": $((size / 1024))}
JSON
# Without KVM, as there are computers that have it and can't use it.
cat >"$scratch/Vagrantfile" <<'RUBY'
Vagrant.configure("2") do |config|
  config.vm.guest = :debian # to find that out takes 8 s without KVM
  config.vm.provider "libvirt" do |libvirt|
    libvirt.driver, libvirt.cpu_mode = "qemu", "custom"
    libvirt.disk_driver cache: "unsafe"
  end
end
RUBY
tar -C "$scratch" -cf "$out.new" metadata.json Vagrantfile box.img
mv "$out.new" "$out"
