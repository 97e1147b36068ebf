//! Names of resources. The scheme is kube-up's: `P` is the instance prefix, `M` is `P-master`.

use serde::{Deserialize, Serialize};

/// The names of a cluster's resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    prefix: String,
    /// The prefix of nodes' names, if it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nodes: Option<String>,
}

impl Names {
    /// The names for an instance prefix.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            nodes: None,
        }
    }

    /// Sets another prefix for nodes: NODE_INSTANCE_PREFIX.
    pub fn with_nodes(self, prefix: &str) -> Self {
        let derived = Self::new(&*self.prefix).minion();
        Self {
            nodes: (derived != prefix).then(|| prefix.to_owned()),
            ..self
        }
    }

    /// `M`: the first replica's name, the stem of all others, and the tag on all of them.
    pub fn master(&self) -> String {
        format!("{}-master", self.prefix)
    }

    /// A further replica's name: `M-xxx`.
    pub fn replica(&self, suffix: &str) -> String {
        format!("{}-{suffix}", self.master())
    }

    /// Whether the name is valid for a replica.
    pub fn is_replica(&self, name: &str) -> bool {
        let Some(suffix) = name.strip_prefix(&self.master()) else {
            return false;
        };
        let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        suffix.is_empty()
            || suffix
                .strip_prefix('-')
                .is_some_and(|suffix| suffix.len() == 3 && suffix.chars().all(is_letter))
    }

    /// A replica's data disk: `<replica>-pd`.
    pub fn data_disk(&self, replica: &str) -> String {
        format!("{replica}-pd")
    }

    /// The endpoint's reserved address: `M-ip`.
    pub fn address(&self) -> String {
        format!("{}-ip", self.master())
    }

    /// The endpoint's address within a private network: `M-internal-ip`.
    pub fn internal_address(&self) -> String {
        format!("{}-internal-ip", self.master())
    }

    /// The firewall rule for clients of the API: `M-https`.
    pub fn api_firewall(&self) -> String {
        format!("{}-https", self.master())
    }

    /// The firewall rule for etcd between replicas: `M-etcd`.
    pub fn etcd_firewall(&self) -> String {
        format!("{}-etcd", self.master())
    }

    /// The firewall rule for operators' SSH to replicas: `M-ssh`.
    pub fn ssh_firewall(&self) -> String {
        format!("{}-ssh", self.master())
    }

    /// The firewall rule between nodes and replicas: `P-internal`.
    pub fn internal_firewall(&self) -> String {
        format!("{}-internal", self.prefix)
    }

    /// The same for replicas that are nodes: `M-internal`.
    pub fn replica_firewall(&self) -> String {
        format!("{}-internal", self.master())
    }

    /// The balancer's backend service and health check, the stem of its groups: `M-lb`.
    pub fn balancer(&self) -> String {
        format!("{}-lb", self.master())
    }

    /// The forwarding rule of the balancer: `M-rule`.
    pub fn forwarding_rule(&self) -> String {
        format!("{}-rule", self.master())
    }

    /// `P-minion`: the prefix of the nodes' names, and their tag.
    pub fn minion(&self) -> String {
        self.nodes
            .clone()
            .unwrap_or_else(|| format!("{}-minion", self.prefix))
    }

    /// The nth node group of a zone: `P-minion-group-<zone>`, then `P-minion-group-<zone>-1`.
    pub fn node_group(&self, zone: &str, number: u32) -> String {
        let first = format!("{}-group-{zone}", self.minion());
        match number {
            0 => first,
            _ => format!("{first}-{number}"),
        }
    }

    /// The nth template of nodes: `P-minion-template-<n>`.
    pub fn node_template(&self, number: u32) -> String {
        format!("{}-template-{number}", self.minion())
    }

    /// The number of a template of nodes.
    pub fn node_template_number(&self, name: &str) -> Option<u32> {
        name.strip_prefix(&format!("{}-template-", self.minion()))?
            .parse()
            .ok()
    }
}
