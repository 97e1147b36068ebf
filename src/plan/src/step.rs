//! Plans and their steps, as plain data.

use super::id::{StepId, Verb};
use hakube_model::{Quorum, Restoring};
use hakube_provider::{
    AddressSpec, BalancerSpec, EndpointSpec, EndpointTarget, FirewallSpec, MachineRef, MachineSpec,
    NetworkSpec, NodeGroupSpec, ResourceId,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// The steps from the observed to the desired state. Each needs only steps before it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Plan {
    /// The steps, in an order in which they could run one after another.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Its key, unique in the plan.
    pub key: StepId,
    /// A description in the imperative: "start etcd on kubernetes-master".
    pub says: String,
    /// What to do.
    pub action: Action,
    /// The steps that must be done before it.
    pub needs: Vec<StepId>,
    /// The steps that must have ended before it, done or failed: they repair something that it can do without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<StepId>,
    /// Its effect on etcd's quorum; `None` if it doesn't change etcd's members.
    pub quorum: Option<QuorumChange>,
}

/// etcd's quorum before and after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct QuorumChange {
    /// Before the step.
    pub before: Quorum,
    /// After it.
    pub after: Quorum,
}

/// What a step does, with all parameters. Execution makes no decisions.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Action {
    /// Creates the network.
    EnsureNetwork(NetworkSpec),
    /// Creates or updates the firewall rule.
    EnsureFirewall(FirewallSpec),
    /// Reserves the endpoint's address.
    ReserveAddress(AddressSpec),
    /// Creates and starts the machine.
    EnsureMachine(MachineSpec),
    /// Writes certificates, keys and addresses to the replica.
    DeliverSecrets(MachineRef),
    /// Renews the replica's certificates.
    RenewCertificates(MachineRef),
    /// Waits until etcd is readable through one of these and the API server of one is ready.
    AwaitServing {
        /// The replicas.
        replicas: Vec<MachineRef>,
    },
    /// Starts the first member of a new etcd cluster.
    FormEtcd(MachineRef),
    /// Stops the replica's etcd until it is told what to join.
    HoldEtcd(MachineRef),
    /// Starts the first member of an etcd with a backup's data.
    RestoreEtcd {
        /// The first member's replica.
        machine: MachineRef,
        /// The backup.
        from: Restoring,
    },
    /// Adds the replica's member as a learner and starts it.
    JoinEtcd(MachineRef),
    /// Promotes the learner to a voter once it has caught up.
    PromoteMember(MachineRef),
    /// Starts the API server, controller manager and scheduler, and waits for `/readyz`.
    StartControlPlane(MachineRef),
    /// Gives the balancer exactly these backends.
    EnsureBalancer(BalancerSpec),
    /// Moves the endpoint's address to the target.
    PointEndpoint {
        /// The endpoint.
        endpoint: EndpointSpec,
        /// Its new place.
        target: EndpointTarget,
    },
    /// Gives the machine an external address. It gave the endpoint's address away and got none for it, so it may not
    /// reach anything outside of its network.
    RestoreExternalAddress {
        /// The machine.
        machine: MachineRef,
        /// The endpoint. It doesn't move.
        endpoint: EndpointSpec,
    },
    /// Makes the replica share the endpoint's address among these, of which it is one. If it is the only one,
    /// it holds it.
    ShareAddress {
        /// The replica.
        machine: MachineRef,
        /// The sharing replicas, in order of priority.
        among: Vec<MachineRef>,
    },
    /// Makes the replica release the endpoint's address.
    ReleaseAddress(MachineRef),
    /// Waits until the endpoint returns 200 for `/readyz` with a certificate of the cluster's CA.
    AwaitEndpoint,
    /// Compacts etcd's history.
    CompactEtcd,
    /// Defragments the replica's member, and waits until it serves.
    DefragmentMember(MachineRef),
    /// Disarms the NOSPACE alarm, if there is room.
    DisarmNoSpace,
    /// Moves etcd's leadership to another voter.
    HandLeadership {
        /// The replica that must not lead.
        from: String,
    },
    /// Removes the member from etcd.
    RemoveMember {
        /// The member's replica.
        replica: String,
        /// Its id in etcd.
        member: u64,
    },
    /// Drains these nodes.
    DrainNodes {
        /// Their names.
        nodes: Vec<String>,
    },
    /// Deletes the resource.
    Delete(ResourceId),
    /// Creates or extends the bootstrap tokens of these machine templates.
    AdmitNodes {
        /// The templates. They needn't exist yet.
        templates: Vec<String>,
    },
    /// Extends these tokens, with which machines that a group recreates join.
    ExtendTokens {
        /// Their public halves.
        tokens: Vec<String>,
    },
    /// Creates or resizes the group.
    EnsureNodeGroup(NodeGroupSpec),
    /// Waits for nodes to be ready.
    AwaitNodes {
        /// The number of nodes.
        count: u32,
        /// How many of them must be ready.
        needed: u32,
        /// Whether all are registered, so that unready ones are unhealthy rather than new.
        registered: bool,
    },
    /// Waits for the replica's kubelet to register, and sets the control plane's label on its node.
    RegisterReplica(MachineRef),
    /// Waits until the nodes of these replicas are ready.
    AwaitReplicaNodes {
        /// The replicas.
        replicas: Vec<MachineRef>,
    },
    /// Sets the inventory's labels on those of these nodes that are registered, and removes hakube's others.
    LabelNodes {
        /// Labels by the node's name.
        nodes: BTreeMap<String, BTreeMap<String, String>>,
    },
    /// Deletes those of these nodes whose machines are missing.
    ForgetNodes {
        /// The nodes, by their machines.
        nodes: Vec<MachineRef>,
    },
    /// Applies the addon's objects.
    ApplyAddon {
        /// The addon.
        name: String,
    },
    /// Waits until the addon is ready.
    AwaitAddon {
        /// The addon.
        name: String,
    },
    /// Deletes the addon's objects.
    RemoveAddon {
        /// The addon.
        name: String,
    },
    /// Approves kubelets' requests for serving certificates, if they are for their own names and addresses.
    ApproveServing,
    /// Writes the cluster's context to the user's kubeconfig.
    WriteKubeconfig,
    /// Removes the cluster's context from the user's kubeconfig.
    RemoveKubeconfig,
    /// Restarts the replica's etcd and control plane with the cluster's current authorities.
    FollowAuthorities(MachineRef),
    /// Restarts kubelets with certificates of the current authorities.
    FollowAuthoritiesOnNodes {
        /// Replicas that are nodes.
        replicas: Vec<MachineRef>,
        /// Nodes, by the template of their group.
        nodes: BTreeMap<String, Vec<MachineRef>>,
    },
    /// Brings the replica to the cluster's release of programs, or back to the one before if that doesn't serve.
    UpgradeReplica(MachineRef),
    /// Drains the node, brings it to the cluster's release of programs, and lets pods return.
    UpgradeNode(MachineRef),
    /// Replaces a node of the group by one from the group's present template.
    RecreateNode {
        /// The group as it should be.
        group: NodeGroupSpec,
        /// The node's machine.
        node: String,
    },
    /// Checks that no resource has the cluster's ownership label.
    ProveEmpty,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// A plan under construction.
pub(super) struct Draft {
    steps: Vec<Step>,
    quorum: Quorum,
    recovering: usize,
    healing: Vec<Healing>,
}

/// A step that repairs an unhealthy replica.
struct Healing {
    key: StepId,
    replica: String,
    /// Whether etcd's members can change before it is repaired.
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

    /// Adds a step. Steps in `needs` that aren't in the plan are done already, and are dropped.
    pub(super) fn add(
        &mut self,
        id: impl Into<StepId>,
        says: impl Into<String>,
        action: Action,
        needs: &[StepId],
    ) -> StepId {
        let id = id.into();
        let needs = needs
            .iter()
            .filter(|need| self.has(need))
            .cloned()
            .collect();
        self.steps.push(Step {
            key: id.clone(),
            says: says.into(),
            action,
            needs,
            after: Vec::new(),
            quorum: None,
        });
        id
    }

    /// Adds a step that deletes the resource.
    pub(super) fn delete(&mut self, resource: ResourceId, needs: &[StepId]) -> StepId {
        self.add(
            StepId::delete(&resource),
            format!("delete {resource}"),
            Action::Delete(resource),
            needs,
        )
    }

    /// Adds a step that changes etcd's members. Its quorum is projected from the previous such steps, so it
    /// needs the last of them.
    pub(super) fn add_member_change(
        &mut self,
        id: impl Into<StepId>,
        says: impl Into<String>,
        action: Action,
        needs: &[StepId],
        after: impl FnOnce(Quorum) -> Quorum,
    ) -> StepId {
        let mut needs = needs.to_vec();
        let last = self.steps.iter().rev().find(|step| step.quorum.is_some());
        needs.extend(
            last.map(|step| step.key.clone())
                .filter(|key| !needs.contains(key)),
        );
        let id = self.add(id, says, action, &needs);
        let before = self.quorum;
        self.quorum = after(before);
        if let Some(step) = self.steps.last_mut() {
            step.quorum = Some(QuorumChange {
                before,
                after: self.quorum,
            });
        }
        id
    }

    /// Counts a voter as recovered by the steps so far. Steps projected after this must need them.
    pub(super) fn voter_recovers(&mut self) {
        self.quorum.healthy += 1;
        self.recovering += 1;
    }

    /// The quorum once the plan has recovered its voters.
    pub(super) fn with_recovered(&self, now: Quorum) -> Quorum {
        Quorum {
            healthy: now.healthy + self.recovering,
            ..now
        }
    }

    /// The steps that change etcd's members, in order.
    pub(super) fn member_changes(&self) -> impl Iterator<Item = (&Step, QuorumChange)> {
        self.steps
            .iter()
            .filter_map(|step| Some((step, step.quorum?)))
    }

    pub(super) fn has(&self, id: &StepId) -> bool {
        self.steps.iter().any(|step| step.key == *id)
    }

    /// What the step does, if the plan has it.
    pub(super) fn action(&self, id: &StepId) -> Option<&Action> {
        let mut steps = self.steps.iter();
        steps.find(|step| step.key == *id).map(|step| &step.action)
    }

    pub(super) fn any(&self, holds: impl FnMut(&Step) -> bool) -> bool {
        self.steps.iter().any(holds)
    }

    /// The steps that do this.
    pub(super) fn all(&self, verb: Verb) -> Vec<StepId> {
        self.ids(|id| id.verb() == verb)
    }

    /// The steps that hold this.
    pub(super) fn ids(&self, holds: impl Fn(&StepId) -> bool) -> Vec<StepId> {
        let ids = self.steps.iter().map(|step| &step.key);
        ids.filter(|id| holds(id)).cloned().collect()
    }

    /// Marks a step as the repair of a replica that other steps can do without: they wait for it, but run even
    /// if it fails. A change of etcd's members only does so if `spares_etcd`.
    pub(super) fn heals(&mut self, key: &StepId, replica: &str, spares_etcd: bool) {
        self.healing.push(Healing {
            key: key.clone(),
            replica: replica.to_owned(),
            spares_etcd,
        });
    }

    /// Makes all other steps wait until `last` has ended, done or failed.
    pub(super) fn goes_first(&mut self, first: &[StepId], last: &StepId) {
        for step in &mut self.steps {
            if !first.contains(&step.key) {
                step.after.push(last.clone());
            }
        }
    }

    pub(super) fn finish(mut self) -> Plan {
        for step in &mut self.steps {
            let is_member_change = step.quorum.is_some();
            let is_about = |replica: &str| step.key.is_of(replica);
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
