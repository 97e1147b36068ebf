//! hakube: highly available Kubernetes control planes on machines of your own.
#![allow(dead_code, unused_imports)]

mod channel;
mod cluster;
mod error;
mod etcd;
mod kubeconfig;
mod kubernetes;
mod machine;
mod output;
mod pki;
mod plan;
mod run;
mod settings;
mod state;

fn main() {}
