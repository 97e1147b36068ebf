# shellcheck shell=bash
#
# This machine's own Debian package sources. Sourced by the scripts that build images.

# Prints the sources of SUITE in apt's format. Only Debian's own: other sources might have other versions of its
# packages.
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
