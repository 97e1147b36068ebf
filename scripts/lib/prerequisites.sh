# shellcheck shell=bash
# shellcheck disable=SC2034  # the lists are for the scripts that source this
#
# What this machine needs to build, run and test hakube. Sourced by the scripts. Reports what is missing and
# installs it. Messages go to stderr; stdout belongs to the script.

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)
readonly ROOT

# Builds and downloads, kept outside the checkout so that fresh clones share them.
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/hakube
readonly CACHE

# Each entry is a Debian or Ubuntu package, and the program or file that proves it is installed.
readonly TO_BUILD=(
    "ca-certificates=/etc/ssl/certs/ca-certificates.crt"
    "gcc=cc"
    "libc6-dev=/usr/include/stdio.h"
    "protobuf-compiler=protoc"                                    # etcd's client is generated from .proto files,
    "libprotobuf-dev=/usr/include/google/protobuf/descriptor.proto"   # which include this one
)
readonly TO_RUN=(
    "etcd-server=etcd"
    "util-linux=setpriv"
)
readonly TO_STORY=("curl=curl")
# Not packaged everywhere. Its users work without it.
readonly TO_ASK=("kubernetes-client=kubectl")
# The tests check hakube's output with other implementations.
readonly TO_TEST=("curl=curl" "openssl=openssl" "procps=ps" "python3=/usr/bin/python3"
    "openssh-client=ssh" "openssh-server=/usr/sbin/sshd")
# Tests build the libvirt provider, whether or not a libvirt host exists.
readonly TO_BUILD_ALL=("libvirt-dev=/usr/include/libvirt/libvirt.h" "pkg-config=pkg-config")
# A libvirt host, and the tools that build an image for its guests.
readonly TO_BOOT=("libvirt-daemon-system=libvirtd" "libvirt-clients=virsh" "qemu-system-x86=qemu-system-x86_64"
    "qemu-utils=qemu-img" "dnsmasq-base=dnsmasq" "iptables=iptables" "iproute2=ip" "util-linux=unshare"
    "ovmf=/usr/share/OVMF/OVMF_CODE_4M.fd" "mmdebstrap=mmdebstrap" "e2fsprogs=mke2fs" "binutils=strip"
    "systemd-boot-efi=/usr/lib/systemd/boot/efi/linuxx64.efi.stub" "mtools=mcopy" "fdisk=sfdisk")
# Hosts of namespaces, and their root file system.
readonly TO_YARD=("systemd-container=systemd-nspawn" "mmdebstrap=mmdebstrap" "iproute2=ip" "nftables=nft"
    "util-linux=nsenter" "mount=mount" "e2fsprogs=mke2fs" "openssh-client=ssh-keygen" "procps=ps")
# The parts of Kubernetes' programs and images that aren't Go.
readonly TO_BUILD_IMAGES=("gcc=cc" "libc6-dev=/usr/include/stdio.h" "libseccomp-dev=/usr/include/seccomp.h"
    "pkg-config=pkg-config" "mmdebstrap=mmdebstrap" "python3=python3")
readonly TO_BENCH=("python3=python3")
readonly TO_CHECK=("shellcheck=shellcheck")

# The first version with learners, which replicas join as.
readonly OLDEST_ETCD=3.4

say() {
    printf '%s\n' "$*" >&2
}

die() {
    say "${0##*/}: $*"
    exit 1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

at_least() { # VERSION WANTED
    printf '%s\n%s\n' "$2" "$1" | sort --version-sort --check=quiet
}

as_root() {
    if ((EUID == 0)); then
        "$@"
    elif has sudo; then
        sudo "$@"
    else
        die "this needs root, and there is no sudo: $*"
    fi
}

missing() { # PACKAGE=PROOF...
    local requirement proof
    for requirement in "$@"; do
        proof=${requirement#*=}
        [[ -e $proof ]] || has "$proof" || printf '%s\n' "${requirement%%=*}"
    done
}

is_packaged() { # PACKAGE
    [[ $(apt-cache policy "$1") == *"Candidate: "[0-9]* ]]
}

# Installs the missing packages, or fails and lists them.
need() { # PACKAGE=PROOF...
    local packages
    mapfile -t packages < <(missing "$@")
    ((${#packages[@]})) || return 0
    has apt-get || die "install the equivalents of these Debian packages, then try again: ${packages[*]}"
    say "Missing: ${packages[*]}. Installing with apt-get."
    as_root apt-get update --quiet --quiet >/dev/null
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --quiet --quiet --no-install-recommends "${packages[@]}" >/dev/null
    [[ " ${packages[*]} " != *" etcd-server "* ]] || stop_packaged_etcd
    [[ " ${packages[*]} " != *" openssh-server "* ]] || stop_packaged_sshd
}

# The same for a libvirt host. Fails if it can't be installed.
need_libvirt() {
    local packages suite
    mapfile -t packages < <(missing "${TO_BOOT[@]}")
    ((${#packages[@]})) || return 0
    has apt-get || return 1
    # shellcheck disable=SC1091
    suite=$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")
    say "Missing: ${packages[*]}. Installing with apt-get."
    as_root apt-get update --quiet --quiet >/dev/null
    # qemu and qemu-img have to come from the same release.
    [[ " ${packages[*]} " != *" qemu-system-x86 "* ]] || packages+=("qemu-utils/$suite")
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --quiet --no-install-recommends \
        --allow-downgrades "${packages[@]}" >/dev/null || return 1
    # The package starts a libvirtd under systemd. Tests start their own. One that existed before is left alone.
    [[ " ${packages[*]} " != *" libvirt-daemon-system "* || ! -d /run/systemd/system ]] ||
        as_root systemctl disable --now libvirtd.service libvirtd.socket virtlogd.service virtlogd.socket >&2 || true
}

# The same for optional packages.
want() { # PACKAGE=PROOF...
    local requirement
    for requirement in "$@"; do
        [[ -n $(missing "$requirement") ]] || continue
        if has apt-get && is_packaged "${requirement%%=*}"; then
            need "$requirement"
        else
            say "${requirement#*=} is missing and not packaged: continuing without it."
        fi
    done
}

# The package starts an etcd on 127.0.0.1:2379 under systemd. hakube doesn't use it.
stop_packaged_etcd() {
    [[ -d /run/systemd/system ]] || return 0
    say "The package etcd-server has started etcd on 127.0.0.1:2379. hakube starts its own: disabling etcd.service."
    as_root systemctl disable --now etcd.service >&2
}

# The same for sshd, which would accept passwords from the network. Tests start their own, on loopback.
stop_packaged_sshd() {
    [[ -d /run/systemd/system ]] || return 0
    say "The package openssh-server has started sshd. Tests start their own: disabling ssh.service."
    as_root systemctl disable --now ssh.service >&2
}

need_etcd() {
    local version
    need "${TO_RUN[@]}"
    version=$(etcd --version | sed -n 's/^etcd Version: //p')
    at_least "$version" "$OLDEST_ETCD" ||
        die "etcd $version is too old: hakube needs $OLDEST_ETCD or later"
}

need_rust() {
    local wanted found
    wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$ROOT/Cargo.toml")
    # Where rustup installs it. A shell that is older than the installation doesn't have it in PATH.
    PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
    has cargo || die "Rust is missing: hakube needs $wanted or later. Install it from https://rustup.rs"
    found=$(rustc --version | cut --delimiter=' ' --fields=2)
    at_least "$found" "$wanted" ||
        die "Rust $found is too old: hakube needs $wanted or later. With rustup: rustup update stable"
}

# Go, in the version that Kubernetes' own programs need.
need_go() {
    local wanted found
    wanted=$(sed -n 's/^go \(.*\)$/\1/p' "$ROOT"/tests/kubernetes/*/go.mod | sort --version-sort | tail --lines=1)
    # Where Go's archive is usually unpacked.
    PATH=$PATH:/usr/local/go/bin
    # Debian 12 has Go 1.19.
    has go || die "Go is missing: Kubernetes' own programs need $wanted or later. Install it from https://go.dev/dl"
    found=$(go env GOVERSION)
    at_least "${found#go}" "$wanted" ||
        die "Go ${found#go} is too old: Kubernetes' own programs need $wanted or later. Install it from https://go.dev/dl"
}

# The processes of every HAKUBE_HOME and every machine below this directory.
processes_of() { # DIRECTORY
    # -f keeps the pattern out of grep's own command line.
    {
        grep -lasF -f <(printf '%s' "$1") /proc/[0-9]*/cmdline
        grep -lasF -f <(printf '%s\n' "HAKUBE_HOME=$1" "MACHINE_ROOT=$1") /proc/[0-9]*/environ
    } | cut --delimiter=/ --fields=3 | sort --numeric-sort --unique
}
