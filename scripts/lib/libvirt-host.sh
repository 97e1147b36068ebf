# shellcheck shell=bash
#
# Turns namespaces into a libvirt host. Sourced by hypervisor and rack, which have their own mount namespaces.

# Keeps libvirt's files in that directory, so that they survive a restart of the host.
keep_files_in() { # DIRECTORY
    local files=$1 part
    for part in /var/lib/libvirt /var/log/libvirt /etc/libvirt/qemu /etc/libvirt/storage; do
        mkdir --parents "$files$part" "$part"
        mount --bind "$files$part" "$part"
    done
    mkdir --parents /var/lib/libvirt/{dnsmasq,images,network,qemu,boot} /etc/libvirt/qemu/networks
}

# libvirt probes QEMU once, for most of a minute. Keep the result.
keep_cache() {
    mkdir --parents "$CACHE/libvirt" /var/cache/libvirt
    mount --bind "$CACHE/libvirt" /var/cache/libvirt
}

# Guests are emulated: a /dev/kvm that opens doesn't work everywhere. Where it opens and fails, libvirt probes it before
# each start, for half a minute.
hide_kvm() {
    [[ -e /dev/kvm ]] || return 0
    install --mode 600 /dev/null /run/no-kvm
    mount --bind /run/no-kvm /dev/kvm
    # Otherwise libvirt gives each guest its own /dev, which fails with the mount above.
    printf 'namespaces = []\n' >/run/qemu.conf
    mount --bind /run/qemu.conf /etc/libvirt/qemu.conf
}

start_libvirt() {
    virtlogd --daemon
    libvirtd --daemon
}

# Waits until libvirt responds. Fails after a timeout.
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
