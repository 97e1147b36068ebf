//! A plan is steps; a step is data.

use crate::cluster::Quorum;
use hakube_provider::{
    AddressSpec, BalancerSpec, EndpointSpec, EndpointTarget, FirewallSpec, MachineRef, MachineSpec,
    NetworkSpec, NodeGroupSpec, ResourceId,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What names a step, the same in every plan for the same work.
pub type Key = String;

/// Steps from what is there to what is wanted. Each needs only steps that stand before it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// In an order in which they may be run one after another.
    pub steps: Vec<Step>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its name.
    pub key: Key,
    /// One sentence for people, as an order: "start etcd on kubernetes-master".
    pub says: String,
    /// What is done.
    pub action: Action,
    /// The steps that must be done before it.
    pub needs: Vec<Key>,
    /// The steps that must have ended before it, done or failed: they heal what it can do without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Key>,
    /// What it does to etcd's quorum; `None` when it doesn't touch etcd's members.
    pub quorum: Option<QuorumChange>,
}

/// etcd's quorum before and after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuorumChange {
    /// Before it.
    pub before: Quorum,
    /// After it.
    pub after: Quorum,
}

/// What a step does. Everything is named here; running decides nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Action {
    /// The network exists.
    EnsureNetwork(NetworkSpec),
    /// The firewall rule exists.
    EnsureFirewall(FirewallSpec),
    /// The endpoint's address is reserved.
    ReserveAddress(AddressSpec),
    /// The machine exists and has been started.
    EnsureMachine(MachineSpec),
    /// The replica has its certificates, keys and addresses.
    DeliverSecrets(MachineRef),
    /// The replica has new certificates in the place of its old ones.
    RenewCertificates(MachineRef),
    /// Through some of these etcd can be read, and the API server of some is ready: they serve with new certificates.
    AwaitRenewed {
        /// The replicas.
        replicas: Vec<MachineRef>,
    },
    /// The first member of a new etcd runs.
    FormEtcd(MachineRef),
    /// The replica's member has joined as a learner and runs.
    JoinEtcd(MachineRef),
    /// The learner has caught up and votes.
    PromoteMember(MachineRef),
    /// The API server, controller manager and scheduler run, and `/readyz` says so.
    StartControlPlane(MachineRef),
    /// The balancer has exactly these backends.
    EnsureBalancer(BalancerSpec),
    /// The endpoint's address sits on the target.
    PointEndpoint {
        /// The endpoint.
        endpoint: EndpointSpec,
        /// Where its address goes.
        target: EndpointTarget,
    },
    /// The replica shares the endpoint's address among these, and is one of them. Alone, it has it.
    ShareAddress {
        /// The replica.
        machine: MachineRef,
        /// Who shares it, the first to take it first.
        among: Vec<MachineRef>,
    },
    /// The replica holds the endpoint's address no more, and won't take it.
    ReleaseAddress(MachineRef),
    /// The endpoint answers `/readyz` with a certificate of the cluster's CA.
    AwaitEndpoint,
    /// Another voter leads.
    HandLeadership {
        /// The replica that mustn't lead.
        from: String,
    },
    /// The member is no longer one.
    RemoveMember {
        /// The replica that it ran on.
        replica: String,
        /// etcd's id for it.
        member: u64,
    },
    /// No pod that has to be elsewhere is on these nodes, and none comes.
    DrainNodes {
        /// The nodes.
        nodes: Vec<String>,
    },
    /// The resource is gone.
    Delete(ResourceId),
    /// Nodes may join for another while, with the tokens in these templates of machines.
    AdmitNodes {
        /// The templates. They need not be there yet.
        templates: Vec<String>,
    },
    /// These tokens admit nodes for another while: machines that a group makes anew join with them.
    ExtendTokens {
        /// Their public halves.
        tokens: Vec<String>,
    },
    /// The group has its size.
    EnsureNodeGroup(NodeGroupSpec),
    /// Nodes are ready.
    AwaitNodes {
        /// How many there are to be.
        count: u32,
        /// How many of them must be ready for the cluster to be as asked for.
        needed: u32,
        /// Whether all have registered, and those that aren't ready are sick rather than new.
        registered: bool,
    },
    /// The replica's kubelet has registered, and its node is labelled as the control plane's.
    RegisterReplica(MachineRef),
    /// The nodes of these replicas are ready.
    AwaitReplicaNodes {
        /// The replicas.
        replicas: Vec<MachineRef>,
    },
    /// Of these nodes, those that have registered have these labels of the inventory's, and no others of it.
    LabelNodes {
        /// Labels by the node's name.
        nodes: BTreeMap<String, BTreeMap<String, String>>,
    },
    /// Those of these nodes whose machines are gone are no longer registered.
    ForgetNodes {
        /// The nodes, by their machines.
        nodes: Vec<MachineRef>,
    },
    /// The addon's objects are there as they should be.
    ApplyAddon {
        /// Its name.
        name: String,
    },
    /// The addon's pods run, and what it serves is served.
    AwaitAddon {
        /// Its name.
        name: String,
    },
    /// Nothing of the addon is left.
    RemoveAddon {
        /// Its name.
        name: String,
    },
    /// Kubelets that ask for what is their own have a certificate to serve with.
    ApproveServing,
    /// The user's kubeconfig has the cluster's context.
    WriteKubeconfig,
    /// The user's kubeconfig has it no more.
    RemoveKubeconfig,
    /// Nothing bears the cluster's mark.
    ProveEmpty,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// A plan in the making.
pub(super) struct Draft {
    steps: Vec<Step>,
    quorum: Quorum,
    recovering: usize,
    healing: Vec<Healing>,
}

/// A step that heals a replica which is part of the cluster, and isn't well.
struct Healing {
    key: Key,
    replica: String,
    /// Whether etcd's members may change without it.
    spares_etcd: bool,
}

impl Draft {
    pub(super) fn new(quorum: Quorum) -> Self {
        Self {
            steps: Vec::new(),
            quorum,
            recovering: 0,
            healing: Vec::new(),
        }
    }

    /// Adds a step; of the steps that it needs, those that aren't in the plan are done already.
    pub(super) fn add(
        &mut self,
        key: impl Into<Key>,
        says: impl Into<String>,
        action: Action,
        needs: &[Key],
    ) -> Key {
        let key = key.into();
        let needs = needs
            .iter()
            .filter(|need| self.has(need))
            .cloned()
            .collect();
        self.steps.push(Step {
            key: key.clone(),
            says: says.into(),
            action,
            needs,
            after: Vec::new(),
            quorum: None,
        });
        key
    }

    /// Adds the step after which the resource is gone.
    pub(super) fn delete(&mut self, resource: ResourceId, needs: &[Key]) -> Key {
        self.add(
            delete_key(&resource),
            format!("delete {resource}"),
            Action::Delete(resource),
            needs,
        )
    }

    /// Adds a step that changes etcd's members. It is projected from all such steps before it, and so
    /// comes after the last of them.
    pub(super) fn add_member_change(
        &mut self,
        key: impl Into<Key>,
        says: impl Into<String>,
        action: Action,
        needs: &[Key],
        after: impl FnOnce(Quorum) -> Quorum,
    ) -> Key {
        let mut needs = needs.to_vec();
        let last = self.steps.iter().rev().find(|step| step.quorum.is_some());
        needs.extend(
            last.map(|step| step.key.clone())
                .filter(|key| !needs.contains(key)),
        );
        let key = self.add(key, says, action, &needs);
        let before = self.quorum;
        self.quorum = after(before);
        if let Some(step) = self.steps.last_mut() {
            step.quorum = Some(QuorumChange {
                before,
                after: self.quorum,
            });
        }
        key
    }

    /// A voter that is down will be back by the end of the steps so far. What is projected from here
    /// on must need them.
    pub(super) fn voter_recovers(&mut self) {
        self.quorum.healthy += 1;
        self.recovering += 1;
    }

    /// The quorum when all voters that the plan brings back are back.
    pub(super) fn with_recovered(&self, now: Quorum) -> Quorum {
        Quorum {
            healthy: now.healthy + self.recovering,
            ..now
        }
    }

    /// The steps that change etcd's members, in their order.
    pub(super) fn member_changes(&self) -> impl Iterator<Item = (&Step, QuorumChange)> {
        self.steps
            .iter()
            .filter_map(|step| Some((step, step.quorum?)))
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.steps.iter().any(|step| step.key == key)
    }

    /// Whether it holds for a step.
    pub(super) fn any(&self, holds: impl FnMut(&Step) -> bool) -> bool {
        self.steps.iter().any(holds)
    }

    /// The keys of the steps whose key starts so.
    pub(super) fn keys(&self, start: &str) -> Vec<Key> {
        self.steps
            .iter()
            .filter(|step| step.key.starts_with(start))
            .map(|step| step.key.clone())
            .collect()
    }

    /// The step heals a replica that others can do without: they wait for it, and go on if it fails. What changes etcd's
    /// members goes on only if the replica's own member is well.
    pub(super) fn heals(&mut self, key: &Key, replica: &str, spares_etcd: bool) {
        self.healing.push(Healing {
            key: key.clone(),
            replica: replica.to_owned(),
            spares_etcd,
        });
    }

    pub(super) fn finish(mut self) -> Plan {
        for step in &mut self.steps {
            let is_member_change = step.quorum.is_some();
            let is_about = |replica: &str| step.key.split('/').nth(1) == Some(replica);
            let spares = |healing: &&Healing| {
                !is_about(&healing.replica) && (healing.spares_etcd || !is_member_change)
            };
            for healing in self.healing.iter().filter(spares) {
                let before = step.needs.len();
                step.needs.retain(|need| *need != healing.key);
                if step.needs.len() < before {
                    step.after.push(healing.key.clone());
                }
            }
        }
        Plan { steps: self.steps }
    }
}

/// The key of a step on something.
pub(super) fn key(verb: &str, what: &str) -> Key {
    format!("{verb}/{what}")
}

/// The key of the step that deletes a resource.
pub(super) fn delete_key(resource: &ResourceId) -> Key {
    key("delete", &resource.to_string().replace(' ', "-"))
}
