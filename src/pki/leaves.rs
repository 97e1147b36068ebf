//! Where a replica keeps the certificates that expire.

use super::authority::Signer;

/// A certificate file on a replica. Its key is in a file of its own.
#[derive(Debug, Clone, Copy)]
pub struct LeafFile {
    /// Its path on the machine.
    pub path: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// Who signed it.
    pub signer: Signer,
}

/// All certificates that hakube signs for a replica. A kubelet's isn't among them: it renews its own.
pub const LEAVES: [LeafFile; 8] = [
    LeafFile {
        path: "/etc/kubernetes/pki/apiserver.crt",
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
