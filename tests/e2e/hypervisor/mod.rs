//! `--provider libvirt` on the command line: real libvirtd and qemu, booting guests, real etcd, haproxy and
//! keepalived. The guests download stand-ins in place of Kubernetes' programs.
//!
//! These tests run on the hosts that `scripts/test vm` creates (scripts/lib/hypervisor, scripts/lib/rack);
//! elsewhere they are skipped with a message.

mod guests;
mod lab;
mod one_host;
mod rack;
mod traffic;
