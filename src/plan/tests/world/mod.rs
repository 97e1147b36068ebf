//! A world that does what a plan says, and objects to what the real one would refuse: a second
//! learner, a backend that isn't ready, an address pulled from under its clients.
//!
//! Steps run in any order that their `needs` allow, so that a need that is missing shows; and a run may
//! end before any step or in the middle of one, as a crash does.

mod cloud;
mod endpoint;
mod etcd;
mod shared_address;

use crate::cluster::{
    AddonState, Arrangement, DataCondition, Intent, MemberRole, NodeView, Observed, Phase, Quorum,
};
use crate::machine::EtcdConditionKind;
use crate::plan::{Action, Plan, Step, plan};
use hakube_provider::{Address, MachineState, ResourceKind, Scope};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

const ENDPOINT: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));

/// What an operator wants and what is there.
#[derive(Debug, Clone)]
pub struct World {
    pub intent: Intent,
    pub observed: Observed,
    /// Machines that have their certificates and keys.
    equipped: BTreeSet<String>,
    nodes: Vec<NodeView>,
    /// What etcd holds of addons.
    pub addons: BTreeMap<String, AddonState>,
    members_made: u64,
    machines_made: u8,
    /// Who shares the endpoint's address, as each machine was told.
    told: BTreeMap<String, Arrangement>,
    /// Machines that run, and that nothing can be put on or read from.
    pub silent: BTreeSet<String>,
}

impl World {
    /// Nothing is there yet.
    pub fn empty(intent: Intent) -> Self {
        Self {
            intent,
            observed: Observed::default(),
            equipped: BTreeSet::new(),
            nodes: Vec::new(),
            addons: BTreeMap::new(),
            members_made: 0,
            machines_made: 0,
            told: BTreeMap::new(),
            silent: BTreeSet::new(),
        }
    }

    /// Everything is there.
    pub fn settled(intent: Intent) -> Self {
        let mut world = Self::empty(Intent {
            formed: false,
            ..intent
        });
        world.converge(0);
        world
    }

    /// Nothing is left to do, with this intent instead of the one that it was made with.
    pub fn with_intent(mut self, intent: Intent) -> Self {
        self.intent = intent;
        self
    }

    /// The plan, which has the shape of one.
    pub fn plan(&self) -> Plan {
        let made =
            plan(&self.intent, &self.observed).unwrap_or_else(|error| panic!("{error}\n{self:#?}"));
        assert_eq!(
            plan(&self.intent, &self.observed).unwrap(),
            made,
            "the same world, another plan"
        );
        check_shape(&made);
        made
    }

    /// The keys of the plan's steps.
    pub fn keys(&self) -> Vec<String> {
        self.plan().steps.into_iter().map(|step| step.key).collect()
    }

    /// Does all that is planned; then nothing is left to do.
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

    /// Does so many steps, in one of the orders that their needs allow, and with `half` a part of the
    /// next.
    pub fn run(&mut self, plan: &Plan, order: u64, steps: usize, half: bool) {
        let mut rng = StdRng::seed_from_u64(order);
        let mut waiting: Vec<&Step> = plan.steps.iter().collect();
        let mut done: BTreeSet<&str> = BTreeSet::new();
        let mut next = |done: &BTreeSet<&str>| {
            let is_ready = |step: &Step| {
                let mut before = step.needs.iter().chain(&step.after);
                before.all(|key| done.contains(key.as_str()))
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
            if self.is_out_of_reach(step) {
                return;
            }
            self.apply(step);
            done.insert(&step.key);
        }
        if half
            && let Some(step) = next(&done)
            && !self.is_out_of_reach(step)
        {
            self.begin(step);
            self.look();
        }
    }

    /// Whether the step fails, because it talks to a machine that doesn't answer.
    fn is_out_of_reach(&self, step: &Step) -> bool {
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
        let held = self.quorum().holds();
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

    /// What shows of the world only when it is looked at.
    fn look(&mut self) {
        let answers = self.endpoint_answers();
        self.observed.endpoint_ready = answers;
        self.look_at_holds();
        self.observed.nodes = answers.then(|| self.nodes.clone());
        self.observed.addons = answers.then(|| {
            let wanted = crate::addons::names(&self.intent.spec).into_iter();
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
            // Nothing expires here.
            Action::RenewCertificates(_) | Action::AwaitRenewed { .. } => {}
            Action::FormEtcd(machine) => {
                self.form_etcd(machine);
                self.intent.formed = true;
            }
            Action::JoinEtcd(machine) => self.join_etcd(machine, true),
            Action::PromoteMember(machine) => self.promote(&machine.name),
            Action::StartControlPlane(machine) => self.start_control_plane(&machine.name),
            Action::EnsureBalancer(spec) => self.ensure_balancer(spec),
            Action::PointEndpoint { target, .. } => self.point_endpoint(target),
            Action::ShareAddress { machine, among } => self.share_address(machine, among),
            Action::ReleaseAddress(machine) => self.release_address(machine),
            Action::AwaitEndpoint => {
                assert!(self.endpoint_answers(), "awaited for ever: {self:#?}")
            }
            Action::HandLeadership { from } => self.hand_leadership(from),
            Action::RemoveMember { replica, member } => self.remove_member(replica, *member),
            Action::Delete(resource) => self.delete(resource),
            Action::ExtendTokens { .. } | Action::AdmitNodes { .. } => {
                assert!(self.endpoint_answers(), "nobody to admit nodes")
            }
            Action::EnsureNodeGroup(spec) => self.ensure_node_group(spec),
            Action::AwaitNodes { count, .. } => {
                assert!(self.endpoint_answers(), "nobody to ask for nodes");
                let there: u32 = self
                    .observed
                    .inventory
                    .node_groups
                    .iter()
                    .map(|group| group.size)
                    .sum();
                assert!(
                    there >= *count,
                    "awaited for ever: {count} nodes of {there}"
                );
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
                assert!(self.endpoint_answers(), "nobody to register with");
                self.nodes.push(NodeView {
                    name: machine.name.clone(),
                    zone: machine.zone.clone(),
                    ready: true,
                    control_plane: true,
                    ..NodeView::default()
                });
            }
            Action::AwaitReplicaNodes { replicas } => {
                let is_there = |name: &str| self.nodes.iter().any(|node| node.name == name);
                assert!(replicas.iter().all(|replica| is_there(&replica.name)));
            }
            Action::DrainNodes { nodes } => {
                assert!(self.endpoint_answers(), "nobody to drain {nodes:?}");
                let ready = |name: &String| self.nodes.iter().any(|n| n.ready && n.name == *name);
                assert!(nodes.iter().all(ready), "{nodes:?} end no pods");
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
            Action::ApplyAddon { name } => {
                assert!(self.endpoint_answers(), "nobody to apply {name} to");
                self.addons.insert(name.clone(), AddonState::Ready);
            }
            Action::AwaitAddon { name } => {
                assert!(self.addons.contains_key(name), "awaited for ever: {name}");
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

    /// The part of a step after which a crash leaves something new.
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

    /// A machine stops, or is deleted behind our back.
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
                // Nobody knows any more whose learner it was going to be.
                member.name = format!("member-{:x}", member.id);
            }
        } else if let Some(machine) = self.machine_mut(name) {
            machine.state = MachineState::Stopped;
        }
        self.look();
    }

    /// The machine runs, and its etcd doesn't, because of its data.
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

    /// The way onto a machine is lost, and nothing else of it.
    pub fn silence(&mut self, name: &str) {
        self.silent.insert(name.to_owned());
        self.look();
    }
}

fn check_shape(plan: &Plan) {
    let mut earlier: BTreeSet<&str> = BTreeSet::new();
    for step in &plan.steps {
        for need in step.needs.iter().chain(&step.after) {
            assert!(
                earlier.contains(need.as_str()),
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
