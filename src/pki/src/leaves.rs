//! The expiring certificates of a replica.

use super::authority::Signer;

/// A certificate file on a replica. Its key is in a separate file.
#[derive(Debug, Clone, Copy)]
pub struct LeafFile {
    /// Its path on the machine.
    pub path: &'static str,
    /// Its purpose.
    pub purpose: &'static str,
    /// Its CA.
    pub signer: Signer,
}

/// The API server's certificate for clients.
pub const SERVING: &str = "/etc/kubernetes/pki/apiserver.crt";

/// All certificates that hakube signs for a replica. The kubelet's isn't included: kubelets renew their own.
pub const LEAVES: [LeafFile; 8] = [
    LeafFile {
        path: SERVING,
        purpose: "API server, for its clients",
        signer: Signer::Kubernetes,
    },
    LeafFile {
        path: "/etc/kubernetes/pki/apiserver-kubelet-client.crt",
        purpose: "API server to kubelets",
        signer: Signer::Kubernetes,
    },
    LeafFile {
        path: "/etc/kubernetes/pki/apiserver-etcd-client.crt",
        purpose: "API server to etcd",
        signer: Signer::Etcd,
    },
    LeafFile {
        path: "/etc/kubernetes/pki/front-proxy-client.crt",
        purpose: "API server to aggregated API servers",
        signer: Signer::FrontProxy,
    },
    LeafFile {
        path: "/etc/kubernetes/pki/etcd/server.crt",
        purpose: "etcd, for its clients",
        signer: Signer::Etcd,
    },
    LeafFile {
        path: "/etc/kubernetes/pki/etcd/peer.crt",
        purpose: "etcd to other members",
        signer: Signer::Etcd,
    },
    LeafFile {
        path: "/etc/kubernetes/pki/controller-manager.crt",
        purpose: "controller manager to the API server",
        signer: Signer::Kubernetes,
    },
    LeafFile {
        path: "/etc/kubernetes/pki/scheduler.crt",
        purpose: "scheduler to the API server",
        signer: Signer::Kubernetes,
    },
];
