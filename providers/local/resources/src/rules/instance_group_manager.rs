//! Zonal managed instance groups. Updates change all instances at once; autohealing is not emulated.

use serde_json::{Map, Value, json};

use crate::base::{ApiError, Key, Phase, Type, fresh_fingerprint, limits, link};
use crate::rules::managed::{Managed, Seen};
use crate::rules::{instance, instance_group};
use crate::state::State;
use crate::types::instance::{MetadataItem, Status};
use crate::types::instance_group_manager::Version;
use crate::types::{Instance, InstanceGroup, InstanceGroupManager, InstanceTemplate};

/// Names end in four random letters or digits.
const SUFFIX: usize = 4;

const MAX_SIZE: u32 = 200;

/// Other actions than none, which `currentActions` counts.
const ACTIONS: &[&str] = &[
    "abandoning",
    "creating",
    "creatingWithoutRetries",
    "deleting",
    "recreating",
    "refreshing",
    "restarting",
    "verifying",
];

impl Seen for InstanceGroupManager {
    fn complete(&self, state: &State, view: &mut Map<String, Value>) {
        view.remove("members");
        view.remove("outdated");
        if let Some(version) = view.get_mut("versions").and_then(|all| all.get_mut(0)) {
            version["targetSize"] = json!({"calculated": self.target_size});
        }
        if let Some(key) = link::key_of(&self.meta.self_link) {
            let group = state.link_of::<InstanceGroup>(&key);
            view.insert("instanceGroup".into(), group.into());
        }
        let busy = state.jobs.values().any(|job| {
            job.target.kind == Type::InstanceGroupManager && job.target.key.name == self.meta.name
        });
        let status = json!({
            "isStable": !busy,
            "versionTarget": {"isReached": !busy && self.outdated.is_empty()},
        });
        view.insert("status".into(), status);
        let mut actions = json!({"none": if busy { 0 } else { self.members.len() }});
        for action in ACTIONS {
            actions[*action] = 0.into();
        }
        view.insert("currentActions".into(), actions);
    }
}

impl Managed for InstanceGroupManager {
    fn prepare(&mut self, state: &mut State, key: &Key) -> Result<(), ApiError> {
        let wanted = std::mem::take(&mut self.versions);
        let template = std::mem::take(&mut self.instance_template);
        let version = version(state, "resource", &template, wanted)?;
        self.use_version(version);
        self.outdated.clear();
        let policy = std::mem::take(&mut self.update_policy);
        self.use_policy(policy);
        if self.base_instance_name.is_empty() {
            self.base_instance_name.clone_from(&key.name);
        }
        let longest = format!("{}-{}", self.base_instance_name, "x".repeat(SUFFIX));
        limits::name("resource.baseInstanceName", &longest)?;
        check_size(self.target_size)?;
        self.fingerprint = fresh_fingerprint();
        instance_group::put_beside(state, key)?;
        self.members.clear();
        for _ in 0..self.target_size {
            let member = self.add(state, key)?;
            self.members.push(member);
        }
        Ok(())
    }

    fn user(&self, state: &State, key: &Key) -> Option<String> {
        instance_group::service_with(state, key)
    }
}

/// The version that a client asks for, in either of the two forms.
pub fn version(
    state: &State,
    above: &str,
    template: &str,
    mut versions: Vec<Version>,
) -> Result<Version, ApiError> {
    if versions.len() > 1 {
        return Err(ApiError::not_emulated(
            "managed groups with several versions",
        ));
    }
    let mut version = versions.pop().unwrap_or_default();
    if version.instance_template.is_empty() {
        template.clone_into(&mut version.instance_template);
    }
    let field = format!("{above}.instanceTemplate");
    let key = link::parse::<InstanceTemplate>(&field, &version.instance_template)?;
    state.ready::<InstanceTemplate>(&key)?;
    version.instance_template = state.link_of::<InstanceTemplate>(&key);
    version.target_size = None;
    Ok(version)
}

/// Rejects a group that is too large.
pub fn check_size(size: u32) -> Result<(), ApiError> {
    if size > MAX_SIZE {
        let why = format!("Every instance is a machine on this host: at most {MAX_SIZE}.");
        return Err(ApiError::invalid("size", size, why));
    }
    Ok(())
}

impl InstanceGroupManager {
    /// Inserts one more instance; the operation boots it.
    pub fn add(&self, state: &mut State, key: &Key) -> Result<String, ApiError> {
        let zone = &key.scope;
        let member = loop {
            let name = format!("{}-{}", self.base_instance_name, suffix());
            let member = Key::new(zone.clone(), name);
            if state.instances.get(&member).is_none() {
                break member;
            }
        };
        self.make(state, &member)?;
        Ok(state.link_of::<Instance>(&member))
    }

    /// Inserts an instance with this name from the template.
    pub fn make(&self, state: &mut State, member: &Key) -> Result<(), ApiError> {
        let template =
            link::parse::<InstanceTemplate>("instanceTemplate", &self.instance_template)?;
        let mut instance = state.get::<InstanceTemplate>(&template)?.instance()?;
        let zone = &member.scope;
        instance.machine_type = format!("{zone}/machineTypes/{}", instance.machine_type);
        // As Compute Engine does.
        instance.metadata.items.push(MetadataItem {
            key: "instance-template".to_owned(),
            value: format!(
                "projects/{}/{}",
                link::project(&self.instance_template).unwrap_or_default(),
                link::below_project(&self.instance_template)
            ),
        });
        instance::insert(state, member, instance)
    }

    /// Changes its instances, and the target size accordingly.
    pub fn set_members(&mut self, change: impl FnOnce(&mut Vec<String>)) -> Result<(), ApiError> {
        change(&mut self.members);
        let members = &self.members;
        self.outdated.retain(|member, _| members.contains(member));
        self.target_size = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        check_size(self.target_size)
    }

    /// Sets the version of future instances. Existing ones keep theirs.
    pub fn use_version(&mut self, version: Version) {
        let before = self.present_version();
        if !before.instance_template.is_empty() && before != version {
            for member in &self.members {
                let kept = self.outdated.entry(member.clone());
                kept.or_insert_with(|| before.clone());
            }
        }
        self.outdated.retain(|_, kept| *kept != version);
        self.instance_template
            .clone_from(&version.instance_template);
        self.versions = vec![version];
        self.fingerprint = fresh_fingerprint();
    }

    /// Sets what a client says of updates, and Compute Engine's defaults for the rest.
    pub fn use_policy(&mut self, wanted: Map<String, Value>) {
        self.update_policy.extend(wanted);
        for (field, usual) in [
            ("type", json!("OPPORTUNISTIC")),
            ("minimalAction", json!("REPLACE")),
            ("replacementMethod", json!("SUBSTITUTE")),
            ("maxSurge", json!({"fixed": 1, "calculated": 1})),
            ("maxUnavailable", json!({"fixed": 1, "calculated": 1})),
        ] {
            self.update_policy.entry(field).or_insert(usual);
        }
        self.fingerprint = fresh_fingerprint();
    }

    /// Notes that these instances get the present version.
    pub fn updated(&mut self, members: &[Key]) {
        let is_one = |member: &str| link::key_of(member).is_some_and(|key| members.contains(&key));
        self.outdated.retain(|member, _| !is_one(member));
    }

    /// Replaces instances by new ones with other names.
    pub fn substitute(
        &mut self,
        state: &mut State,
        key: &Key,
        going: &[Key],
    ) -> Result<(), ApiError> {
        self.updated(going);
        let is_going = |member: &str| link::key_of(member).is_some_and(|key| going.contains(&key));
        self.members.retain(|member| !is_going(member));
        for _ in going {
            let member = self.add(state, key)?;
            self.members.push(member);
        }
        Ok(())
    }
}

fn suffix() -> String {
    const LETTERS: &[u8] = b"0123456789bcdfghjklmnpqrstvwxz";
    (0..SUFFIX)
        .map(|_| char::from(LETTERS[rand::random_range(0..LETTERS.len())]))
        .collect()
}

/// Recreates missing instances of a manager under the same names.
pub fn remake(state: &mut State, manager: &Key, members: &[Key]) -> Result<(), ApiError> {
    let manager = state.get::<InstanceGroupManager>(manager)?.clone();
    for member in members {
        // Already recreated, if the cloud was stopped in between.
        if state.instances.get(member).is_none() {
            manager.make(state, member)?;
        }
    }
    Ok(())
}

/// Starts to delete instances of a manager, which can't be used any more.
pub fn retire(state: &mut State, members: &[Key]) {
    for member in members {
        if let Some(instance) = state.instances.get_mut(member) {
            instance.status = Status::Stopping;
        }
        state
            .table_mut(Type::Instance)
            .set_phase(member, Phase::Deleting);
    }
}
