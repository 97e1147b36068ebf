//! `--provider libvirt` from the command line: real libvirtd and qemu, guests that boot, real etcd, haproxy and
//! keepalived. What the guests download in the place of Kubernetes' programs are the stand-ins.
//!
//! These tests run on the hosts that `scripts/test vm` makes (scripts/lib/hypervisor, scripts/lib/rack);
//! elsewhere they say that they are skipped.

mod guests;
mod lab;
mod one_host;
mod rack;
mod traffic;
