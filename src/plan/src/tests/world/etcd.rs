//! etcd's members and refusals.

use super::World;
use hakube_etcd::peer_url;
use hakube_model::{ApiView, EtcdView, MemberRole, MemberView};
use hakube_provider::{MachineRef, MachineState};

impl World {
    pub(super) fn set_health(&mut self, name: &str, healthy: bool) {
        if let Some(member) = self.member_mut(name) {
            member.healthy = healthy && member.started;
        }
    }

    pub(super) fn members_mut(&mut self) -> &mut Vec<MemberView> {
        if !matches!(self.observed.etcd, EtcdView::Known(_)) {
            self.observed.etcd = EtcdView::Known(Vec::new());
        }
        match &mut self.observed.etcd {
            EtcdView::Known(members) => members,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn member_mut(&mut self, name: &str) -> Option<&mut MemberView> {
        match &mut self.observed.etcd {
            EtcdView::Known(members) => members.iter_mut().find(|member| member.name == name),
            _ => None,
        }
    }

    pub(super) fn new_member(&mut self, name: &str, role: MemberRole) {
        self.members_made += 1;
        let id = self.members_made;
        let started = role != MemberRole::Learner;
        let machine = self.observed.inventory.machine(name);
        let address = machine.and_then(|machine| machine.internal_address);
        let url = address.map_or_else(String::new, peer_url);
        if !started {
            self.intent.joining.insert(url.clone());
        }
        self.members_mut().push(MemberView {
            id,
            name: name.to_owned(),
            role,
            started,
            healthy: started,
            peer_urls: vec![url],
            version: None,
            database: None,
        });
    }

    pub(super) fn form_etcd(&mut self, machine: &MachineRef) {
        assert!(!self.intent.formed, "a second, empty etcd");
        assert!(
            self.equipped.contains(&machine.name),
            "etcd on {} without certificates",
            machine.name
        );
        if self.observed.etcd.members().is_empty() {
            self.new_member(&machine.name, MemberRole::Leader);
        }
    }

    /// Its member doesn't respond any more, and its API server has no data.
    pub(super) fn hold_etcd(&mut self, name: &str) {
        self.held.insert(name.to_owned());
        self.kill(name, false);
        if let Some(machine) = self.machine_mut(name) {
            machine.state = MachineState::Running;
        }
    }

    /// A second etcd next to one that may have a quorum would serve other data to some clients.
    pub(super) fn restore_etcd(&mut self, machine: &MachineRef) {
        let name = &machine.name;
        let members = self.observed.etcd.members().iter();
        let others =
            members.filter(|member| member.name != *name && !self.held.contains(&member.name));
        let running: Vec<&str> = others
            // A new machine has no etcd yet.
            .filter(|member| self.equipped.contains(&member.name))
            .map(|member| member.name.as_str())
            .collect();
        assert!(running.is_empty(), "etcd of {running:?} may still run");
        assert!(self.equipped.contains(name), "no certificates on {name}");
        self.observed.etcd = EtcdView::default();
        self.observed.data.clear();
        self.new_member(name, MemberRole::Leader);
        self.intent.formed = true;
        self.intent.restoring = None;
    }

    pub(super) fn join_etcd(&mut self, machine: &MachineRef, start: bool) {
        let name = &machine.name;
        let members = self.observed.etcd.members();
        if !members.iter().any(|member| member.name == *name) {
            // etcd: "too many learner members in cluster", "unhealthy cluster".
            assert!(
                members
                    .iter()
                    .all(|member| member.role != MemberRole::Learner),
                "{name} is a second learner"
            );
            assert!(
                members.iter().all(|member| member.healthy),
                "{name} joins while a voter is down"
            );
            self.new_member(name, MemberRole::Learner);
        }
        if start {
            self.observed.data.remove(name);
            assert!(
                self.equipped.contains(name) && self.runs(name),
                "etcd can't start on {name}"
            );
            let member = self.member_mut(name).unwrap();
            (member.started, member.healthy) = (true, true);
        }
    }

    pub(super) fn promote(&mut self, name: &str) {
        assert!(self.quorum().holds());
        let member = self
            .member_mut(name)
            .unwrap_or_else(|| panic!("{name} isn't a member"));
        assert!(
            member.role == MemberRole::Learner && member.healthy,
            "{name} never catches up: {member:?}"
        );
        member.role = MemberRole::Voter;
    }

    pub(super) fn start_control_plane(&mut self, name: &str) {
        assert!(
            self.equipped.contains(name) && self.runs(name),
            "{name} can't start"
        );
        let member = self
            .observed
            .etcd
            .member(name)
            .unwrap_or_else(|| panic!("{name} isn't a member"));
        assert!(
            member.role != MemberRole::Learner && member.healthy,
            "an API server on {member:?}"
        );
        assert!(self.quorum().holds());
        self.observed.apis.insert(
            name.to_owned(),
            ApiView {
                ready: true,
                stand_in: Some(true),
                version: None,
            },
        );
    }

    /// Prefers the worst successor: one that leaves next.
    pub(super) fn hand_leadership(&mut self, from: &str) {
        let wanted = |name: &str| self.intent.replica(name).is_some();
        let may_lead = |member: &&MemberView| {
            member.role == MemberRole::Voter && member.healthy && member.name != from
        };
        let voters = self.observed.etcd.members().iter().filter(may_lead);
        let successor = voters
            .min_by_key(|member| wanted(&member.name))
            .map(|member| member.name.clone());
        self.set_leader(&successor.unwrap_or_else(|| panic!("no successor of {from}")));
    }

    pub(super) fn set_leader(&mut self, name: &str) {
        for member in self.members_mut() {
            if member.role == MemberRole::Leader {
                member.role = MemberRole::Voter;
            }
            if member.name == name {
                member.role = MemberRole::Leader;
            }
        }
    }

    pub(super) fn remove_member(&mut self, replica: &str, id: u64) {
        assert!(
            self.quorum().holds(),
            "no quorum to remove a member: {}",
            self.quorum()
        );
        let member = self
            .observed
            .etcd
            .members()
            .iter()
            .find(|member| member.id == id)
            .unwrap()
            .clone();
        assert_eq!(member.name, replica);
        assert_ne!(
            member.role,
            MemberRole::Leader,
            "writes stop for seconds when the leader is removed"
        );
        if member.healthy && member.role == MemberRole::Voter {
            assert!(self.quorum().voters > 1, "{replica} is the last voter");
            assert!(
                self.holder().is_none_or(|machine| machine.name != replica),
                "{replica} has the endpoint"
            );
            let balancer = &self.observed.inventory.balancer;
            let serves = balancer.forwarding.is_some() && balancer.machines().contains(&replica);
            assert!(!serves, "clients are still sent to {replica}");
            let holds = !self.silent.contains(replica) && self.may_hold(replica);
            assert!(!holds, "clients may be sent to {replica}");
        }
        self.members_mut().retain(|member| member.id != id);
        self.observed.apis.remove(replica);
    }
}
