"""Packs files into an OCI image archive that has the name of a published image.

    image.py OUT NAME ENTRYPOINT [--base LAYER.tar] [FILE=PATH...]

OUT is a tar with an OCI image layout, which `ctr images import` reads. ENTRYPOINT is the program and its first
arguments, separated by spaces. The same files make the same archive, byte by byte, on every machine.
"""

import argparse
import hashlib
import io
import json
import os
import tarfile

ARCHITECTURE = "amd64"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def entry(name, kind=tarfile.REGTYPE, mode=0o755, size=0):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size = kind, mode, size
    return info


def layer(files):
    """A layer with these files, the directories that they need, and a /tmp."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        made = set()

        def directories(path):
            parts = path.split("/")[:-1]
            for depth in range(1, len(parts) + 1):
                directory = "/".join(parts[:depth])
                if directory not in made:
                    made.add(directory)
                    tar.addfile(entry(directory, tarfile.DIRTYPE))

        for source, path in sorted(files, key=lambda file: file[1]):
            path = path.lstrip("/")
            directories(path)
            with open(source, "rb") as file:
                tar.addfile(entry(path, size=os.path.getsize(source)), file)
        tar.addfile(entry("tmp", tarfile.DIRTYPE, 0o1777))
    return out.getvalue()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def descriptor(media, data):
    return {"mediaType": media, "digest": digest(data), "size": len(data)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("name")
    parser.add_argument("entrypoint")
    parser.add_argument("--base")
    parser.add_argument("files", nargs="*")
    arguments = parser.parse_intermixed_args()

    layers = []
    if arguments.base:
        with open(arguments.base, "rb") as file:
            layers.append(file.read())
    layers.append(layer([file.split("=", 1) for file in arguments.files]))
    config = json.dumps(
        {
            "architecture": ARCHITECTURE,
            "os": "linux",
            "config": {"Env": [f"PATH={PATH}"], "Entrypoint": arguments.entrypoint.split()},
            "rootfs": {"type": "layers", "diff_ids": [digest(data) for data in layers]},
        },
        sort_keys=True,
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", data) for data in layers],
        },
        sort_keys=True,
    ).encode()
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
        add("index.json", json.dumps(index, sort_keys=True).encode())
        for data in sorted({config, manifest, *layers}, key=digest):
            add("blobs/" + digest(data).replace(":", "/"), data)
    with open(arguments.out, "rb") as file:
        sha256 = hashlib.sha256(file.read()).hexdigest()
    print(
        json.dumps(
            {
                "name": arguments.name,
                "file": os.path.basename(arguments.out),
                "sha256": sha256,
                "digest": digest(manifest),
                "arch": ARCHITECTURE,
                "size": os.path.getsize(arguments.out),
            }
        )
    )


main()
