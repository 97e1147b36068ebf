"""Times hakube and kubeadm on the same kind of hosts, and prints a table. Called by `scripts/bench pods`.

Two tasks, each for both, each on five new hosts of a yard (tests/yard), one after the other:

registered  programs and images are in place; until three replicas and two nodes are registered
ready       bare hosts; until all nodes are ready and DNS responds, with the same mirror, images and pod network
"""

import argparse
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench_yard import HOSTS, Clock, Result, Served, Yard

LIBRARY = Path(__file__).resolve().parent
IMAGE = LIBRARY.parents[1] / "tests/kubernetes/image.py"
REPLICAS, NODES = HOSTS[:3], HOSTS[3:]
ENDPOINT = "10.77.0.100"
MIRROR = "http://10.77.0.1:8000"
# Both get the same pod network: hakube's.
FLANNEL = "daemonsets,configmaps,serviceaccounts,clusterroles,clusterrolebindings,namespaces"
TOKEN, KEY = "abcdef.0123456789abcdef", "01" * 32

# Queries the cluster's DNS from a host, without a resolver in between.
ASK = """
import socket, struct, sys
name = b"".join(bytes([len(part)]) + part for part in b"kubernetes.default.svc.cluster.local".split(b".")) + b"\\0"
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asking.settimeout(1)
asking.sendto(struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + name + struct.pack(">2H", 1, 1), ("10.0.0.10", 53))
answer = asking.recv(4096)
sys.exit(0 if struct.unpack(">H", answer[6:8])[0] else 1)
"""

CONTAINERD = """version = 3
imports = ['/etc/containerd/conf.d/*.toml']
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = '@PAUSE@'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = 'io.containerd.runc.v2'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
SystemdCgroup = @SYSTEMD@
"""
UNITS = {
    "containerd": """[Service]
Type=notify
ExecStart=/usr/local/bin/containerd
Delegate=yes
KillMode=process
Restart=always
LimitNOFILE=1048576
[Install]
WantedBy=multi-user.target
""",
    "kubelet": """[Unit]
After=containerd.service
[Service]
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
ExecStart=/usr/local/bin/kubelet --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf \\
    --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml $KUBELET_KUBEADM_ARGS
Restart=always
RestartSec=1
[Install]
WantedBy=multi-user.target
""",
}
KUBEADM = """apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: @ADDRESS@}
nodeRegistration:
  criSocket: unix:///run/containerd/containerd.sock
certificateKey: "@KEY@"
bootstrapTokens: [{token: "@TOKEN@"}]
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: @VERSION@
controlPlaneEndpoint: @ADDRESS@:6443
networking: {podSubnet: 10.64.0.0/14, serviceSubnet: 10.0.0.0/16}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
failSwapOn: false
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
conntrack: {maxPerCore: 0, min: 0}
"""


class Bench:
    """What all runs share."""

    def __init__(self, arguments, scratch):
        self.hakube, self.yard, self.scratch = arguments.hakube, arguments.yard, Path(scratch)
        self.built = Path(arguments.kubernetes)
        # The newest, if there are several.
        self.version = max(each.name for each in (self.built / "mirror/kubernetes").iterdir())
        self.etcd = max(each.name for each in (self.built / "mirror/etcd").iterdir()).removeprefix("v")
        self.pause = next(each["name"] for each in self.images() if "/pause:" in each["name"])
        self.flannel = None
        self.mirror = self.scratch / "mirror"
        subprocess.run(["cp", "--recursive", "--symbolic-link", self.built / "mirror", self.mirror], check=True)

    def images(self):
        return json.loads((self.built / "mirror/images/images.json").read_text())

    # hakube

    def inventory(self, yard):
        lines = [f"ssh: {{user: root, key: {yard.key}}}", f"endpoint: {ENDPOINT}", "hosts:"]
        for host in HOSTS:
            key = " ".join(yard.on(host, "cat /etc/ssh/ssh_host_ed25519_key.pub").split()[:2])
            role = "replica" if host in REPLICAS else "node"
            lines.append(
                f'- {{name: "{host}", address: {yard.addresses[host]}, zone: rack-{host[1]}, role: {role}, '
                f'ssh: {{host_key: "{key}"}}}}'
            )
        file = yard.directory / "hosts.yaml"
        file.write_text("\n".join(lines) + "\n")
        return file

    def by_hakube(self, yard, result, arguments, environment):
        base = {"HOME": yard.directory, "HAKUBE_HOME": yard.directory / "home", "MULTIZONE": "true",
                "KUBECONFIG": yard.directory / "kubeconfig", "KUBE_VERSION": self.version, **environment}
        inventory = self.inventory(yard)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        commands = [["up", "--provider", "hosts", "--hosts", str(inventory), "--nodes", "2", *arguments],
                    ["replicate", "--count", "2"]]
        with Clock(yard, result):
            for command in commands:
                began = time.monotonic()
                words = yard.inside([self.hakube, *command, "--output", "json"], base)
                done = subprocess.run(words, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise SystemExit(f"hakube {command[0]}: {done.stdout[-1500:]}{done.stderr[-1500:]}")
                result.parts.append((f"hakube {' '.join(command[:1])}", time.monotonic() - began))
                events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
                steps = [each for each in events if each.get("event") == "step_finished"]
                steps.sort(key=lambda each: -each["seconds"])
                result.parts += [(f"  {each['step']}", each["seconds"]) for each in steps[:5]]
            self.registered(yard, base)
            yield base
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        result.cpu += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def kubectl(self, yard, environment, *arguments):
        words = [str(self.built / "bin/kubectl"), "--request-timeout=5s", *arguments]
        done = subprocess.run(yard.inside(words, environment), capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def nodes(self, yard, environment):
        return [line.split() for line in self.kubectl(yard, environment, "get", "nodes", "--no-headers").splitlines()]

    def registered(self, yard, environment):
        yard.until("five nodes are registered", lambda: len(self.nodes(yard, environment)) == len(HOSTS))

    def ready(self, yard, environment, result):
        """Waits until all nodes are ready, and DNS responds to a node and a replica."""
        began = time.monotonic()
        yard.until("the nodes are ready", lambda: [row[1] for row in self.nodes(yard, environment)] == ["Ready"] * 5)
        for host in ("n1", "r1"):
            yard.until("DNS answers", lambda host=host: yard.run("run", host, "--", "python3", "-c", ASK) is not None)
        result.parts.append(("all ready, and DNS answers", time.monotonic() - began))

    def hakube_registered(self):
        """Programs are on the hosts and nothing is pulled: no pods are waited for."""
        layer = self.scratch / "hakube-layer"
        programs = layer / "opt/kubernetes"
        programs.mkdir(parents=True)
        for program in (self.built / "bin").iterdir():
            shutil.copy2(program, programs / program.name)
        unpack(self.built, "cni-plugins", programs / "cni-plugins")
        result = Result()
        with Yard(self.yard, self.scratch, "hakube-registered", layer) as yard:
            own = {"NETWORK_PROVIDER": "none", "KUBE_ENABLE_CLUSTER_DNS": "false", "KUBE_ENABLE_METRICS_SERVER": "false"}
            arguments = ["--kube-binaries", "/opt/kubernetes", "--etcd-binary", "/opt/kubernetes/etcd"]
            for _ in self.by_hakube(yard, result, arguments, own | {"ETCD_VERSION": self.etcd}):
                pass
        shutil.rmtree(layer)
        return result

    def hakube_ready(self):
        result = Result()
        with Yard(self.yard, self.scratch, "hakube-ready") as yard, Served(yard, self.mirror) as mirror:
            arguments = ["--mirror", MIRROR, "--sha256sums", str(self.mirror / "SHA256SUMS")]
            for environment in self.by_hakube(yard, result, arguments, {}):
                self.ready(yard, environment, result)
            result.downloaded = mirror.bytes
            labels = ["--selector=hakube.io/addon=flannel", "--all-namespaces", "--output=json"]
            self.flannel = bare(json.loads(self.kubectl(yard, environment, "get", FLANNEL, *labels)))
        return result

    # kubeadm

    def kubeadm_files(self):
        """What kubeadm needs in addition to the mirror: images of the control plane, and a list of all images."""
        to = self.mirror / "kubeadm"
        to.mkdir()
        words = [self.built / "bin/kubeadm", "config", "images", "list", f"--kubernetes-version={self.version}"]
        wanted = subprocess.check_output(words, text=True).split()
        have = {each["name"]: each["file"] for each in self.images()}
        base = max((self.built.parent).glob("base-*/layer.tar"), key=lambda file: file.stat().st_mtime)
        files = []
        for name in wanted:
            program = name.rsplit(":", 1)[0].rsplit("/", 1)[1]
            if name in have:
                files.append(f"images/{have[name]}")
                continue
            if program == "coredns":
                # kubeadm may expect another version: the same program under that name.
                source = self.built / "bin/coredns"
                source = source if source.exists() else max(self.built.parent.glob("coredns-*/coredns"))
                options = ["--entrypoint", "/coredns", "--bind-low-ports", "/coredns", f"{source}=/coredns"]
            elif program == "pause":
                source = max(self.built.parent.glob("pause-*/pause"))
                options = ["--entrypoint", "/pause", f"{source}=/pause"]
            else:
                options = ["--entrypoint", f"/usr/local/bin/{program}"]
                options += ["--base", str(base)] if program == "kube-proxy" else []
                options += [f"{self.built / 'bin' / program}=/usr/local/bin/{program}"]
            subprocess.run([sys.executable, IMAGE, to / f"{program}.tar", name, *options], check=True,
                           stdout=subprocess.DEVNULL)
            files.append(f"kubeadm/{program}.tar")
        files += [f"images/{each['file']}" for each in self.images() if "flannel" in each["name"]]
        (to / "images").write_text("\n".join(files) + "\n")
        shutil.copy2(self.built / "bin/kubeadm", to / "kubeadm")

    def install(self, yard):
        """Installs on all hosts what kubeadm's documentation requires, from the mirror."""
        programs = f"{MIRROR}/kubernetes/{self.version}/bin/linux/amd64"
        archives = {name: only(self.mirror / name, r"\.(tgz|tar\.gz)$|runc\.amd64$") for name in
                    ("containerd", "runc", "cni-plugins")}
        driver = "$(test -e /sys/fs/cgroup/cgroup.controllers && echo true || echo false)"
        units = "".join(f"cat >/etc/systemd/system/{name}.service <<'EOF'\n{text}EOF\n" for name, text in UNITS.items())
        config = CONTAINERD.replace("@PAUSE@", self.pause)
        yard.on_all(f"""
get() {{ curl --silent --fail --output "$2" "$1"; }}
mkdir -p /opt/cni/bin /opt/images /etc/containerd
for name in kubelet kubectl; do get {programs}/$name /usr/local/bin/$name; done
get {MIRROR}/kubeadm/kubeadm /usr/local/bin/kubeadm
get {MIRROR}/{archives['runc']} /usr/local/bin/runc
chmod 755 /usr/local/bin/*
curl --silent --fail {MIRROR}/{archives['containerd']} | tar -xzf - -C /usr/local
curl --silent --fail {MIRROR}/{archives['cni-plugins']} | tar -xzf - -C /opt/cni/bin
cat >/etc/containerd/config.toml <<'EOF'
{config}EOF
sed -i "s/@SYSTEMD@/{driver}/" /etc/containerd/config.toml
{units}modprobe -a overlay br_netfilter 2>/dev/null || true
sysctl -q -w net.ipv4.ip_forward=1
systemctl daemon-reload
systemctl --quiet enable --now containerd
systemctl --quiet enable kubelet
curl --silent --fail {MIRROR}/kubeadm/images | while read -r file; do
    get {MIRROR}/"$file" /opt/images/image.tar
    ctr -n k8s.io images import /opt/images/image.tar >/dev/null
done
rm -rf /opt/images""")

    def by_kubeadm(self, yard, result):
        address = yard.addresses["r1"]
        config = KUBEADM
        for name, value in (("ADDRESS", address), ("KEY", KEY), ("TOKEN", TOKEN), ("VERSION", self.version)):
            config = config.replace(f"@{name}@", value)
        yard.on("r1", "cat >/root/kubeadm.yaml", stdin=config)
        join = f"kubeadm join {address}:6443 --token {TOKEN} --discovery-token-unsafe-skip-ca-verification " \
               "--ignore-preflight-errors=all"

        def timed(name, run):
            began = time.monotonic()
            run()
            result.parts.append((name, time.monotonic() - began))

        timed("kubeadm init", lambda: yard.on(
            "r1", "kubeadm init --config /root/kubeadm.yaml --upload-certs --ignore-preflight-errors=all"))
        for host in REPLICAS[1:]:
            more = f"--control-plane --certificate-key {KEY} --apiserver-advertise-address {yard.addresses[host]}"
            timed(f"kubeadm join, {host}", lambda host=host, more=more: yard.on(host, f"{join} {more}"))
        timed("kubeadm join, n1 and n2 at once", lambda: yard.on_all(join, NODES))
        file = yard.directory / "kubeconfig"
        file.write_text(yard.on("r1", "cat /etc/kubernetes/admin.conf"))
        environment = {"KUBECONFIG": file}
        self.registered(yard, environment)
        return environment

    def kubeadm_registered(self):
        result = Result()
        with Yard(self.yard, self.scratch, "kubeadm-registered") as yard, Served(yard, self.mirror):
            self.install(yard)
            with Clock(yard, result):
                self.by_kubeadm(yard, result)
        return result

    def kubeadm_ready(self):
        result = Result()
        with Yard(self.yard, self.scratch, "kubeadm-ready") as yard, Served(yard, self.mirror) as mirror:
            with Clock(yard, result):
                began = time.monotonic()
                self.install(yard)
                result.parts.append(("programs and images, by all hosts at once", time.monotonic() - began))
                environment = self.by_kubeadm(yard, result)
                network = yard.directory / "flannel.json"
                network.write_text(json.dumps(self.flannel))
                self.kubectl(yard, environment, "apply", "--filename", str(network))
                self.ready(yard, environment, result)
            result.downloaded = mirror.bytes
        return result


def bare(found):
    """Objects without the fields that the API server added."""
    for each in found["items"]:
        each.pop("status", None)
        for name in ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "annotations"):
            each["metadata"].pop(name, None)
    found["items"].sort(key=lambda each: each["kind"] != "Namespace")
    found.pop("metadata", None)
    return found


def only(directory, pattern):
    """The path in the mirror of the one matching file below a directory."""
    found = [path for path in sorted(directory.rglob("*")) if re.search(pattern, path.name)]
    return str(found[0].relative_to(directory.parent))


def unpack(built, name, to):
    to.mkdir()
    archive = built / "mirror" / only(built / "mirror" / name, r"\.tgz$")
    subprocess.run(["tar", "--extract", "--gzip", "--file", archive, "--directory", to], check=True)


def show(title, results):
    print(f"\n{title}\n")
    print(f"  {'':10}{'seconds':>10}{'CPU s':>10}{'downloaded':>14}")
    for name, result in results.items():
        size = f"{result.downloaded / 1e6:.0f} MB" if result.downloaded else ""
        print(f"  {name:10}{result.seconds:10.1f}{result.cpu:10.1f}{size:>14}")
    for name, result in results.items():
        print(f"\n  Where the time goes, {name}:")
        for part, seconds in result.parts:
            print(f"    {seconds:8.1f} s  {part}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--hakube")
    parser.add_argument("--yard")
    parser.add_argument("--kubernetes")
    parser.add_argument("--only", choices=["registered", "ready"])
    arguments = parser.parse_args()
    # An interrupted run cleans up like one that fails.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="hakube-bench.") as scratch:
        bench = Bench(arguments, scratch)
        bench.kubeadm_files()
        load = os.getloadavg()[0]
        print(f"{os.cpu_count()} CPUs, load {load:.1f}, Kubernetes {bench.version}, five hosts")
        if load > os.cpu_count() / 2:
            print("This machine is busy: the results are unreliable.")
        if arguments.only != "ready":
            show("Programs and images in place, until 3 replicas and 2 nodes are registered",
                 {"kubeadm": bench.kubeadm_registered(), "hakube": bench.hakube_registered()})
        if arguments.only != "registered":
            ready = {"hakube": bench.hakube_ready()}
            ready["kubeadm"] = bench.kubeadm_ready()
            show("Bare hosts, until 5 nodes are ready and DNS answers", ready)


main()
