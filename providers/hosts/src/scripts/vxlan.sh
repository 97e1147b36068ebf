# Checks that packets on the pod network's port, UDP 8472, pass between hosts. All hosts run this at
# once and send each other a few bytes without VXLAN's flag for a network id, so a listening kernel
# drops them. Arguments: this host's name, the time limit in seconds, and the other hosts as
# NAME=ADDRESS. Prints "deaf" if the port is in use already, then "heard NAME" for each host heard.
set -u
command -v python3 >/dev/null || { echo "unchecked python3 is missing"; exit 0; }
exec python3 - "$@" <<'END'
import select, socket, sys, time

PORT = 8472
own, limit = sys.argv[1], time.monotonic() + float(sys.argv[2])
peers = dict(argument.split("=", 1) for argument in sys.argv[3:])
six = any(":" in address for address in peers.values())
link = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
deaf = False
try:
    link.bind(("", PORT))
except OSError:
    deaf = True
    link.bind(("", 0))
heard, knows = set(), set()

def send(name, to):
    flags = ("d" if deaf else "-") + ("h" if name in heard else "-")
    try:
        link.sendto(b"\0" * 8 + f"hakube {own} {flags}".encode(), to)
    except OSError:
        pass

due = 0
while time.monotonic() < limit:
    if time.monotonic() >= due:
        for name, address in peers.items():
            send(name, (address, PORT))
        due = time.monotonic() + 0.2
    if not select.select([link], [], [], max(0, due - time.monotonic()))[0]:
        continue
    try:
        data, source = link.recvfrom(2048)
        word, name, flags = data[8:].decode("ascii").split()
    except (OSError, ValueError):
        continue
    if word != "hakube" or name not in peers:
        continue
    is_new = name not in heard
    heard.add(name)
    # A peer that can't listen is done once it was heard.
    if "h" in flags or "d" in flags:
        knows.add(name)
    if is_new or "h" not in flags:
        send(name, source)
    if all((deaf or name in heard) and name in knows for name in peers):
        break
if deaf:
    print("deaf")
for name in sorted(heard):
    print("heard", name)
END
