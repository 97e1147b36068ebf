"""Packs files into an OCI image archive that has the name of a published image.

    image.py OUT.tar NAME --entrypoint PROGRAM [--base LAYER.tar] [OPTIONS] FILE=PATH...

OUT.tar is an OCI image layout in a tar, which `ctr images import` reads. The same files make the same archive, byte by
byte, on every machine. Prints the image's entry of images.json.
"""

import argparse
import hashlib
import io
import json
import os
import tarfile

ARCHITECTURE = "amd64"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Images without a base have what the publishers' distroless base has: users with names.
USERS = {
    "etc/passwd": "root:x:0:0:root:/root:/sbin/nologin\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n"
    "nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n",
    "etc/group": "root:x:0:\nnobody:x:65534:\nnonroot:x:65532:\n",
}
# CAP_NET_BIND_SERVICE, permitted and effective, as setcap writes it (linux/capability.h: revision 2).
BIND_LOW_PORTS = b"\x01\x00\x00\x02" + b"\x00\x04\x00\x00" + 3 * b"\x00\x00\x00\x00"


def entry(name, kind=tarfile.REGTYPE, mode=0o755, size=0):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size = kind, mode, size
    return info


def layer(arguments):
    """A layer with the files, the directories that they need, and a /tmp."""
    members = {"tmp": (entry("tmp", tarfile.DIRTYPE, 0o1777), None)}
    for directory in arguments.directory:
        name = directory.strip("/")
        members[name] = (entry(name, tarfile.DIRTYPE), None)
    for link in arguments.link:
        name, target = link.split("=", 1)
        info = entry(name.lstrip("/"), tarfile.SYMTYPE)
        info.linkname = target
        members[info.name] = (info, None)
    if not arguments.base:
        for name, text in USERS.items():
            data = text.encode()
            members[name] = (entry(name, mode=0o644, size=len(data)), data)
    for file in arguments.files:
        source, path = file.split("=", 1)
        with open(source, "rb") as stream:
            data = stream.read()
        mode = 0o755 if os.access(source, os.X_OK) else 0o644
        info = entry(path.lstrip("/"), mode=mode, size=len(data))
        if path in arguments.bind_low_ports:
            info.pax_headers["SCHILY.xattr.security.capability"] = BIND_LOW_PORTS.decode("ascii")
        members[info.name] = (info, data)
    for name in list(members):
        parts = name.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            parent = "/".join(parts[:depth])
            members.setdefault(parent, (entry(parent, tarfile.DIRTYPE), None))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(members):
            info, data = members[name]
            tar.addfile(info, io.BytesIO(data) if data is not None else None)
    return out.getvalue()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def descriptor(media, data):
    return {"mediaType": media, "digest": digest(data), "size": len(data)}


def document(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("name")
    parser.add_argument("--entrypoint", required=True)
    parser.add_argument("--argument", action="append", default=[], help="of the entry point, unless a pod has its own")
    parser.add_argument("--user", default="")
    parser.add_argument("--base", help="a layer below: a tar of a root file system")
    parser.add_argument("--link", action="append", default=[], metavar="PATH=TARGET")
    parser.add_argument("--directory", action="append", default=[], metavar="PATH")
    parser.add_argument("--bind-low-ports", action="append", default=[], metavar="PATH")
    parser.add_argument("files", nargs="*", metavar="FILE=PATH")
    return parser.parse_intermixed_args()


def main():
    arguments = parse()
    layers = []
    if arguments.base:
        with open(arguments.base, "rb") as file:
            layers.append(file.read())
    layers.append(layer(arguments))
    run = {"Env": [f"PATH={PATH}"], "Entrypoint": [arguments.entrypoint], "WorkingDir": "/"}
    if arguments.argument:
        run["Cmd"] = arguments.argument
    if arguments.user:
        run["User"] = arguments.user
    config = document(
        {
            "architecture": ARCHITECTURE,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": run,
            "rootfs": {"type": "layers", "diff_ids": [digest(data) for data in layers]},
        }
    )
    manifest = document(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", data) for data in layers],
        }
    )
    index = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            {
                **descriptor("application/vnd.oci.image.manifest.v1+json", manifest),
                "platform": {"architecture": ARCHITECTURE, "os": "linux"},
                "annotations": {
                    # What containerd calls the image, and what other tools do.
                    "io.containerd.image.name": arguments.name,
                    "org.opencontainers.image.ref.name": arguments.name.rsplit(":", 1)[1],
                },
            }
        ],
    }
    with tarfile.open(arguments.out, "w") as tar:

        def add(name, data):
            tar.addfile(entry(name, mode=0o644, size=len(data)), io.BytesIO(data))

        add("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        add("index.json", document(index))
        for data in sorted({config, manifest, *layers}, key=digest):
            add("blobs/" + digest(data).replace(":", "/"), data)
    with open(arguments.out, "rb") as file:
        sha256 = hashlib.sha256(file.read()).hexdigest()
    listed = {
        "name": arguments.name,
        "file": os.path.basename(arguments.out),
        "sha256": sha256,
        "digest": digest(manifest),
        "arch": ARCHITECTURE,
        "size": os.path.getsize(arguments.out),
    }
    print(json.dumps(listed))


main()
