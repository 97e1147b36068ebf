# Writes files on the host. Arguments: mode, size and path of each; their contents are concatenated on
# standard input. Skips files that are up to date. Records each file before writing it, and keeps the
# original. Prints what changed, and last the digest of the document that was applied completely.
set -eu
umask 022
[ -e "$state/manifest" ] || { echo "the host has no lease" >&2; exit 1; }
new=$state/new
rm -rf "$new"
mkdir -m 700 "$new"

# Whether the existing file isn't hakube's: it existed before, or is in a directory that others use too.
is_others() {
    [ -e "$1" ] || [ -L "$1" ] || return 1
    ! grep -qxF -- "$1" "$state/before/files" || return 0
    for directory in $own; do
        case "$1" in "$directory"/*) return 1 ;; esac
    done
}

# Read everything first: if the connection breaks, nothing has changed.
number=0
for argument; do
    number=$((number + 1))
    [ $((number % 3)) -eq 2 ] || continue
    (umask 077; head -c "$argument" >"$new/$number")
    if [ "$(wc -c <"$new/$number")" -ne "$argument" ]; then
        echo "the input ended early" >&2
        exit 1
    fi
done
number=2
while [ "$#" -gt 0 ]; do
    mode=$1 path=$3
    shift 3
    if ! { [ -f "$path" ] && cmp -s "$new/$number" "$path" && [ "$(stat -c %a "$path")" = "$mode" ]; }; then
        if ! grep -qxF -- "$path" "$state/manifest"; then
            if is_others "$path" && [ ! -e "$state/kept$path" ]; then
                mkdir -p "$state/kept${path%/*}"
                cp -a "$path" "$state/kept$path.part"
                mv "$state/kept$path.part" "$state/kept$path"
            fi
            printf '%s\n' "$path" >>"$state/manifest"
        fi
        sync "$state/manifest"
        mkdir -p "${path%/*}"
        (umask 077; cp "$new/$number" "$path.hakube-new")
        chmod "$mode" "$path.hakube-new"
        mv -f "$path.hakube-new" "$path"
        printf 'changed %s\n' "$path"
    fi
    number=$((number + 3))
done
rm -rf "$new"
[ ! -e "$state/carried-out" ] || printf 'done %s\n' "$(cat "$state/carried-out")"
