# shellcheck shell=bash
#
# Where this machine gets its own Debian packages from. Sourced by the scripts that make images of them.

# Prints the sources of SUITE, as apt reads them. Only the system's own: another source here might hold other
# versions of its packages.
debian_sources() { # SUITE
    local file
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
        if [[ -s $file ]] && grep --quiet --extended-regexp "^(Suites:|deb ).*\b$1\b" "$file" &&
            grep --quiet --extended-regexp '(URIs:|deb ).*/debian' "$file"; then
            cat "$file"
            printf '\n'
        fi
    done
}
