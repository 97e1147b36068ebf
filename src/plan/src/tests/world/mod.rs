//! A world that executes plans, and fails where the real one would: a second learner, a backend that isn't ready, an
//! address taken from clients.
//!
//! Steps run in any order that their `needs` allow, so a missing need shows. A run may end before any step or in the
//! middle of one, as after a crash.

mod cloud;
mod endpoint;
mod etcd;
mod shared_address;

use crate::{Action, Plan, Step, StepId, plan};
use hakube_model::EtcdConditionKind;
use hakube_model::{
    AddonState, Arrangement, DataCondition, Intent, MarkView, MemberRole, NodeView, Observed,
    Phase, Quorum,
};
use hakube_provider::{Address, MachineState, ResourceKind, Scope};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

const ENDPOINT: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));

/// The desired and the actual state.
#[derive(Debug, Clone)]
pub struct World {
    pub intent: Intent,
    pub observed: Observed,
    /// Machines with certificates and keys.
    equipped: BTreeSet<String>,
    nodes: Vec<NodeView>,
    /// Addons in etcd.
    pub addons: BTreeMap<String, AddonState>,
    members_made: u64,
    machines_made: u8,
    /// The last arrangement that each machine got.
    arrangements: BTreeMap<String, Arrangement>,
    /// Running machines that are unreachable.
    pub silent: BTreeSet<String>,
    /// Machines whose etcd waits.
    held: BTreeSet<String>,
}

impl World {
    /// A world without resources.
    pub fn empty(intent: Intent) -> Self {
        Self {
            intent,
            observed: Observed::default(),
            equipped: BTreeSet::new(),
            nodes: Vec::new(),
            addons: BTreeMap::new(),
            members_made: 0,
            machines_made: 0,
            arrangements: BTreeMap::new(),
            silent: BTreeSet::new(),
            held: BTreeSet::new(),
        }
    }

    /// A world that matches the intent.
    pub fn settled(intent: Intent) -> Self {
        let mut world = Self::empty(Intent {
            formed: false,
            ..intent
        });
        world.converge(0);
        world
    }

    /// Replaces the intent.
    pub fn with_intent(mut self, intent: Intent) -> Self {
        self.intent = intent;
        self
    }

    /// The plan, which must be well-formed and reproducible.
    pub fn plan(&self) -> Plan {
        let planned =
            plan(&self.intent, &self.observed).unwrap_or_else(|error| panic!("{error}\n{self:#?}"));
        assert_eq!(
            plan(&self.intent, &self.observed).unwrap(),
            planned,
            "the same world has two plans"
        );
        check_shape(&planned);
        planned
    }

    /// The keys of the plan's steps.
    pub fn keys(&self) -> Vec<String> {
        self.plan()
            .steps
            .into_iter()
            .map(|step| step.key.to_string())
            .collect()
    }

    /// Runs the whole plan. The next plan must be empty.
    pub fn converge(&mut self, order: u64) {
        self.silent.clear();
        self.look();
        let plan = self.plan();
        self.run(&plan, order, plan.steps.len(), false);
        let left = self.plan();
        match self.intent.phase {
            Phase::Present => assert!(
                left.is_empty(),
                "after {plan:#?}\nis left {left:#?}\nof {self:#?}"
            ),
            Phase::Absent => assert!(self.observed.inventory.resources.is_empty(), "{self:#?}"),
        }
    }

    /// Runs this many steps, in one of the orders that their needs allow and, if `half`, a part of the next one.
    pub fn run(&mut self, plan: &Plan, order: u64, steps: usize, half: bool) {
        let mut rng = StdRng::seed_from_u64(order);
        let mut waiting: Vec<&Step> = plan.steps.iter().collect();
        let mut done: BTreeSet<&StepId> = BTreeSet::new();
        let mut next = |done: &BTreeSet<&StepId>| {
            let is_ready = |step: &Step| {
                let mut before = step.needs.iter().chain(&step.after);
                before.all(|key| done.contains(key))
            };
            let ready: Vec<usize> = (0..waiting.len())
                .filter(|&at| is_ready(waiting[at]))
                .collect();
            // Order 0 is the plan's own.
            let chosen = if order == 0 {
                0
            } else {
                rng.random_range(0..ready.len().max(1))
            };
            ready.get(chosen).map(|&at| waiting.remove(at))
        };
        for _ in 0..steps {
            let Some(step) = next(&done) else { break };
            if self.is_unreachable(step) {
                return;
            }
            self.apply(step);
            done.insert(&step.key);
        }
        if half
            && let Some(step) = next(&done)
            && !self.is_unreachable(step)
        {
            self.begin(step);
            self.look();
        }
    }

    /// Whether the step fails because its machine is unreachable.
    fn is_unreachable(&self, step: &Step) -> bool {
        match &step.action {
            Action::DeliverSecrets(machine)
            | Action::RenewCertificates(machine)
            | Action::FormEtcd(machine)
            | Action::JoinEtcd(machine)
            | Action::StartControlPlane(machine)
            | Action::ReleaseAddress(machine)
            | Action::ShareAddress { machine, .. } => self.silent.contains(&machine.name),
            _ => false,
        }
    }

    fn apply(&mut self, step: &Step) {
        if let Some(change) = step.quorum {
            assert_eq!(
                self.quorum().voters,
                change.before.voters,
                "before {}",
                step.key
            );
        }
        // A restore stops etcd on purpose.
        let stops = matches!(step.action, Action::HoldEtcd(_));
        let held = self.quorum().holds() && !stops;
        self.act(&step.action);
        self.look();
        if let Some(change) = step.quorum {
            assert_eq!(
                self.quorum().voters,
                change.after.voters,
                "after {}",
                step.key
            );
        }
        assert!(
            !held || self.quorum().holds(),
            "{} cost etcd its quorum: {}",
            step.key,
            self.quorum()
        );
    }

    /// Updates derived observations.
    fn look(&mut self) {
        let answers = self.endpoint_answers();
        self.observed.endpoint_ready = answers;
        self.look_at_holds();
        self.observed.nodes = answers.then(|| self.nodes.clone());
        self.observed.addons = answers.then(|| {
            let wanted = hakube_addons::names(&self.intent.spec).into_iter();
            let missing = wanted.map(|name| (name.to_owned(), AddonState::Missing));
            let mut addons: BTreeMap<String, AddonState> = missing.collect();
            addons.extend(self.addons.clone());
            addons
        });
    }

    fn quorum(&self) -> Quorum {
        self.observed.etcd.quorum()
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::EnsureNetwork(spec) => {
                self.make(ResourceKind::Network, Scope::Global, &spec.name)
            }
            Action::EnsureFirewall(spec) => {
                self.make(ResourceKind::Firewall, Scope::Global, &spec.name);
                let firewalls = &mut self.observed.inventory.firewalls;
                firewalls.retain(|found| found.name != spec.name);
                firewalls.push(spec.into());
            }
            Action::ReserveAddress(spec) => {
                self.observed.inventory.address = Some(Address {
                    name: spec.name.clone(),
                    address: ENDPOINT,
                });
                self.make(ResourceKind::Address, self.region(), &spec.name);
            }
            Action::EnsureMachine(spec) => self.ensure_machine(spec),
            Action::DeliverSecrets(machine) => {
                assert!(
                    self.runs(&machine.name),
                    "secrets for {}, which doesn't run",
                    machine.name
                );
                self.equipped.insert(machine.name.clone());
            }
            // Nothing expires, and authorities don't change.
            Action::RenewCertificates(_)
            | Action::AwaitServing { .. }
            | Action::FollowAuthorities(_)
            | Action::FollowAuthoritiesOnNodes { .. } => {}
            Action::FormEtcd(machine) => {
                self.form_etcd(machine);
                self.intent.formed = true;
            }
            Action::HoldEtcd(machine) => self.hold_etcd(&machine.name),
            Action::RestoreEtcd { machine, .. } => self.restore_etcd(machine),
            Action::JoinEtcd(machine) => self.join_etcd(machine, true),
            Action::PromoteMember(machine) => self.promote(&machine.name),
            Action::StartControlPlane(machine) => self.start_control_plane(&machine.name),
            Action::EnsureBalancer(spec) => self.ensure_balancer(spec),
            Action::PointEndpoint { target, .. } => self.point_endpoint(target),
            Action::RestoreExternalAddress { .. } => self.restore_external_addresses(),
            Action::ShareAddress { machine, among } => self.share_address(machine, among),
            Action::ReleaseAddress(machine) => self.release_address(machine),
            Action::AwaitEndpoint => {
                assert!(
                    self.endpoint_answers(),
                    "endpoint never responds: {self:#?}"
                )
            }
            Action::CompactEtcd | Action::DefragmentMember(_) => {}
            Action::DisarmNoSpace => self.observed.alarms.clear(),
            Action::HandLeadership { from } => self.hand_leadership(from),
            Action::RemoveMember { replica, member } => self.remove_member(replica, *member),
            Action::Delete(resource) => self.delete(resource),
            Action::ExtendTokens { .. } | Action::AdmitNodes { .. } => {
                assert!(self.endpoint_answers(), "no endpoint to admit nodes")
            }
            Action::EnsureNodeGroup(spec) => self.ensure_node_group(spec),
            Action::AwaitNodes { count, .. } => {
                assert!(self.endpoint_answers(), "no endpoint to list nodes");
                let existing: u32 = self
                    .observed
                    .inventory
                    .node_groups
                    .iter()
                    .map(|group| group.size)
                    .sum();
                assert!(existing >= *count, "awaited {count} nodes of {existing}");
                self.nodes = (0..*count)
                    .map(|n| NodeView {
                        name: format!("node-{n}"),
                        zone: String::new(),
                        ready: true,
                        control_plane: false,
                        ..NodeView::default()
                    })
                    .collect();
            }
            Action::RegisterReplica(machine) => {
                assert!(self.endpoint_answers(), "no endpoint to register with");
                self.nodes.push(NodeView {
                    name: machine.name.clone(),
                    zone: machine.zone.clone(),
                    ready: true,
                    control_plane: true,
                    ..NodeView::default()
                });
            }
            Action::AwaitReplicaNodes { replicas } => {
                let exists = |name: &str| self.nodes.iter().any(|node| node.name == name);
                assert!(replicas.iter().all(|replica| exists(&replica.name)));
            }
            Action::DrainNodes { nodes } => {
                assert!(self.endpoint_answers(), "no endpoint to drain {nodes:?}");
                let ready = |name: &String| self.nodes.iter().any(|n| n.ready && n.name == *name);
                assert!(nodes.iter().all(ready), "{nodes:?} can't terminate pods");
            }
            Action::LabelNodes { nodes } => {
                for node in &mut self.nodes {
                    let labels = nodes.get(&node.name).cloned();
                    node.inventory_labels = labels.or(node.inventory_labels.take());
                }
            }
            Action::ForgetNodes { nodes } => self
                .nodes
                .retain(|known| nodes.iter().all(|node| node.name != known.name)),
            Action::UpgradeReplica(machine) => {
                let mark = hakube_machine::replica_release(&self.intent.spec).mark;
                self.has_release(&machine.name, mark);
            }
            Action::UpgradeNode(machine) => {
                let mark = hakube_machine::node_release(&self.intent.spec, &machine.zone).mark;
                self.has_release(&machine.name, mark);
            }
            Action::RecreateNode { group, node } => self.recreate_node(group, node),
            Action::ApplyAddon { name } => {
                assert!(self.endpoint_answers(), "no endpoint to apply {name}");
                self.addons.insert(name.clone(), AddonState::Ready);
            }
            Action::AwaitAddon { name } => {
                assert!(self.addons.contains_key(name), "{name} isn't applied");
                self.addons.insert(name.clone(), AddonState::Ready);
            }
            Action::RemoveAddon { name } => {
                self.addons.remove(name);
            }
            Action::ApproveServing => self.observed.serving.clear(),
            Action::WriteKubeconfig => {
                assert!(
                    self.observed.inventory.address.is_some(),
                    "a kubeconfig without a server"
                );
                self.observed.kubeconfig = true;
            }
            Action::RemoveKubeconfig => self.observed.kubeconfig = false,
            Action::ProveEmpty => assert_eq!(self.observed.inventory.resources, [], "left behind"),
        }
    }

    /// The first part of a step, if a crash after it leaves something new.
    fn begin(&mut self, step: &Step) {
        match &step.action {
            Action::EnsureMachine(spec) => self.make_disk(spec),
            Action::FormEtcd(machine) => self.form_etcd(machine),
            Action::JoinEtcd(machine) => self.join_etcd(machine, false),
            Action::EnsureBalancer(spec) => {
                self.observed.inventory.balancer.health_check |= {
                    self.make(ResourceKind::HealthCheck, self.region(), &spec.name);
                    true
                }
            }
            Action::PointEndpoint { .. } => self.release_endpoint(),
            Action::EnsureNodeGroup(spec) => {
                self.make(ResourceKind::MachineTemplate, Scope::Global, &spec.template);
            }
            _ => {}
        }
    }

    /// A machine stops, or is deleted outside hakube.
    pub fn kill(&mut self, name: &str, gone: bool) {
        self.observed.apis.remove(name);
        self.set_health(name, false);
        if self
            .observed
            .etcd
            .member(name)
            .is_some_and(|member| member.role == MemberRole::Leader)
        {
            let voters = self.observed.etcd.members().iter();
            let healthy =
                voters.filter(|member| member.role == MemberRole::Voter && member.healthy);
            let next = healthy.map(|member| member.name.clone()).next();
            if let Some(next) = next {
                self.set_leader(&next);
            } else if let Some(member) = self.member_mut(name) {
                member.role = MemberRole::Voter;
            }
        }
        if gone {
            self.lose_machine(name);
            if let Some(member) = self.member_mut(name).filter(|member| !member.started) {
                // Without its machine, the learner's name is unknown.
                member.name = format!("member-{:x}", member.id);
            }
        } else if let Some(machine) = self.machine_mut(name) {
            machine.state = MachineState::Stopped;
        }
        self.look();
    }

    /// The machine runs, but its data keeps etcd from starting.
    pub fn lose_data(&mut self, name: &str, kind: EtcdConditionKind) {
        self.kill(name, false);
        if let Some(machine) = self.machine_mut(name) {
            machine.state = MachineState::Running;
        }
        let why = "its data is no good".to_owned();
        let condition = DataCondition { kind, why };
        self.observed.data.insert(name.to_owned(), condition);
        self.look();
    }

    /// Whether etcd would keep its quorum without that machine.
    pub fn survives_without(&self, name: &str) -> bool {
        let member = self.observed.etcd.member(name);
        let votes =
            member.is_some_and(|member| member.role != MemberRole::Learner && member.healthy);
        let Quorum { voters, healthy } = self.quorum();
        !votes
            || Quorum {
                voters,
                healthy: healthy - 1,
            }
            .holds()
    }

    /// The machine reports this release.
    pub fn has_release(&mut self, machine: &str, mark: String) {
        let releases = &mut self.observed.releases;
        releases.insert(machine.to_owned(), MarkView::InForce(mark));
    }

    /// The machine becomes unreachable.
    pub fn silence(&mut self, name: &str) {
        self.silent.insert(name.to_owned());
        self.look();
    }
}

fn check_shape(plan: &Plan) {
    let mut earlier: BTreeSet<&StepId> = BTreeSet::new();
    for step in &plan.steps {
        for need in step.needs.iter().chain(&step.after) {
            assert!(
                earlier.contains(need),
                "{} needs {need}, which isn't before it",
                step.key
            );
        }
        assert!(earlier.insert(&step.key), "two steps {}", step.key);
        if let Some(change) = step.quorum {
            let loses = change.before.holds() && !change.after.holds();
            assert!(!loses, "{} costs the quorum", step.key);
        }
    }
}
