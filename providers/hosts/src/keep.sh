# Keeps what is at these paths, named on standard input one a line, before it is overwritten.
set -eu
umask 077
state=/var/lib/hakube
while IFS= read -r path; do
    grep -qxF "$path" "$state/before.files" || continue
    [ ! -e "$state/before$path" ] || continue
    mkdir -p "$state/before${path%/*}"
    cp -a "$path" "$state/before$path.new"
    mv "$state/before$path.new" "$state/before$path"
done
sync
