# shellcheck shell=bash
#
# What makes a host with libvirt out of namespaces. Sourced by hypervisor and rack, whose mounts are their own.

# Libvirt's files are in that directory, so that they are there again when the host is.
keep_files_in() { # DIRECTORY
    local files=$1 part
    for part in /var/lib/libvirt /var/log/libvirt /etc/libvirt/qemu /etc/libvirt/storage; do
        mkdir --parents "$files$part" "$part"
        mount --bind "$files$part" "$part"
    done
    mkdir --parents /var/lib/libvirt/{dnsmasq,images,network,qemu,boot} /etc/libvirt/qemu/networks
}

# What libvirt learns about QEMU takes it most of a minute, once.
keep_cache() {
    mkdir --parents "$CACHE/libvirt" /var/cache/libvirt
    mount --bind "$CACHE/libvirt" /var/cache/libvirt
}

# Guests are emulated here: not everywhere does a /dev/kvm that opens run any. Where it opens and doesn't, libvirt
# looks again before each start, for half a minute.
hide_kvm() {
    [[ -e /dev/kvm ]] || return 0
    install --mode 600 /dev/null /run/no-kvm
    mount --bind /run/no-kvm /dev/kvm
    # Else each guest gets a /dev of its own, for which nothing may be mounted there.
    printf 'namespaces = []\n' >/run/qemu.conf
    mount --bind /run/qemu.conf /etc/libvirt/qemu.conf
}

start_libvirt() {
    virtlogd --daemon
    libvirtd --daemon
}

# Waits until libvirt answers; fails when it doesn't.
libvirt_answers() { # URI
    local _
    for _ in $(seq 100); do
        if virsh --quiet --connect "$1" list >/dev/null 2>&1; then
            return 0
        fi
        sleep 0.1
    done
    return 1
}
