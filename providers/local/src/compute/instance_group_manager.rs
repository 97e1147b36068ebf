//! Zonal managed instance groups. Autohealing and rolling updates are not emulated.

use axum::Router;
use axum::extract::{Query, State as Shared};
use axum::routing::post;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::crud::{self, Answer};
use super::error::ApiError;
use super::instance::{self, Instance, Status};
use super::instance_group::{self, InstanceGroup};
use super::instance_template::InstanceTemplate;
use super::limits;
use super::link;
use super::list::{self, ListQuery};
use super::place::Place;
use super::resource::{Managed, Meta, Target, Type, fresh_fingerprint, resource};
use super::scope::Key;
use crate::cloud::Cloud;
use crate::operation::{Request, RequestId, Work};
use crate::store::{Phase, State};

/// What keeps a number of like instances.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceGroupManager {
    #[serde(flatten)]
    pub(crate) meta: Meta,
    /// How many there are to be.
    pub target_size: u32,
    /// What their names start with.
    #[serde(default)]
    pub base_instance_name: String,
    /// URL.
    #[serde(default)]
    pub instance_template: String,
    /// URLs of its instances.
    #[serde(default)]
    pub members: Vec<String>,
    #[serde(default)]
    fingerprint: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Names end in four letters or digits.
const SUFFIX: usize = 4;
const MAX_SIZE: u32 = 200;

resource!(
    InstanceGroupManager,
    instance_group_managers,
    complete = status
);

fn status(manager: &InstanceGroupManager, state: &State, view: &mut Map<String, Value>) {
    view.remove("members");
    if let Some(key) = link::key_of(&manager.meta.self_link) {
        let group = state.link_of::<InstanceGroup>(&key);
        view.insert("instanceGroup".into(), group.into());
    }
    let busy = state.jobs.values().any(|job| {
        job.target.kind == Type::InstanceGroupManager && job.target.key.name == manager.meta.name
    });
    view.insert("status".into(), json!({"isStable": !busy}));
    let actions =
        json!({"none": if busy { 0 } else { manager.members.len() }, "creating": 0, "deleting": 0});
    view.insert("currentActions".into(), actions);
}

impl Managed for InstanceGroupManager {
    fn prepare(&mut self, state: &mut State, key: &Key) -> Result<(), ApiError> {
        let template =
            link::parse::<InstanceTemplate>("resource.instanceTemplate", &self.instance_template)?;
        state.ready::<InstanceTemplate>(&template)?;
        self.instance_template = state.link_of::<InstanceTemplate>(&template);
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

fn check_size(size: u32) -> Result<(), ApiError> {
    if size > MAX_SIZE {
        let why = format!("Every instance is a machine on this one: at most {MAX_SIZE}.");
        return Err(ApiError::invalid("size", size, why));
    }
    Ok(())
}

impl InstanceGroupManager {
    /// Inserts one instance more; the operation boots it.
    fn add(&self, state: &mut State, key: &Key) -> Result<String, ApiError> {
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

    /// Inserts an instance of this name, of the template.
    fn make(&self, state: &mut State, member: &Key) -> Result<(), ApiError> {
        let template =
            link::parse::<InstanceTemplate>("instanceTemplate", &self.instance_template)?;
        let mut instance = state.get::<InstanceTemplate>(&template)?.instance()?;
        let zone = &member.scope;
        instance.machine_type = format!("{zone}/machineTypes/{}", instance.machine_type);
        instance::insert(state, member, instance)
    }

    /// Changes which instances it has, and how many it is to have.
    pub fn set_members(&mut self, change: impl FnOnce(&mut Vec<String>)) -> Result<(), ApiError> {
        change(&mut self.members);
        self.target_size = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        check_size(self.target_size)
    }

    /// What instances are made of from now on.
    pub fn use_template(&mut self, link: String) {
        self.instance_template = link;
        self.fingerprint = fresh_fingerprint();
    }

    /// The keys of its instances.
    pub fn member_keys(&self) -> impl Iterator<Item = Key> {
        self.members
            .iter()
            .filter_map(|member| link::key_of(member))
    }
}

fn suffix() -> String {
    const LETTERS: &[u8] = b"0123456789bcdfghjklmnpqrstvwxz";
    (0..SUFFIX)
        .map(|_| char::from(LETTERS[rand::random_range(0..LETTERS.len())]))
        .collect()
}

/// Puts instances of a manager that are gone back in their places, by their names.
pub fn remake(state: &mut State, manager: &Key, members: &[Key]) -> Result<(), ApiError> {
    let manager = state.get::<InstanceGroupManager>(manager)?.clone();
    for member in members {
        // Done before, if the cloud was stopped in between.
        if state.instances.get(member).is_none() {
            manager.make(state, member)?;
        }
    }
    Ok(())
}

/// Starts to remove instances of a manager: they can't be used any more.
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

/// The routes of managers.
pub fn routes() -> Router<Cloud> {
    let one = crud::one::<InstanceGroupManager>();
    crud::routes::<InstanceGroupManager>()
        .merge(crud::aggregated::<InstanceGroupManager>())
        .route(&format!("{one}/resize"), post(resize))
        .route(&format!("{one}/listManagedInstances"), post(members))
}

#[derive(Deserialize)]
struct Resize {
    size: Option<String>,
}

async fn resize(
    Shared(cloud): Shared<Cloud>,
    place: Place,
    Query(id): Query<RequestId>,
    Query(query): Query<Resize>,
) -> Answer {
    let key = place.key()?;
    let text = query.size.unwrap_or_default();
    let size: u32 = text
        .parse()
        .map_err(|_| ApiError::invalid("size", &text, "Must be a whole number, zero or more."))?;
    check_size(size)?;
    cloud
        .begin(id, &key, |state| {
            let target = Target::of::<InstanceGroupManager>(&key);
            let mut manager = state.ready::<InstanceGroupManager>(&key)?.clone();
            state.idle(&target)?;
            manager.target_size = size;
            let wanted = usize::try_from(size).unwrap_or(usize::MAX);
            while manager.members.len() < wanted {
                let member = manager.add(state, &key)?;
                manager.members.push(member);
            }
            let going = manager.members.split_off(wanted);
            let going: Vec<Key> = going
                .iter()
                .filter_map(|member| link::key_of(member))
                .collect();
            retire(state, &going);
            *state.ready_mut::<InstanceGroupManager>(&key)? = manager;
            let work = Work::Resize { going };
            Ok(Request::new(
                "compute.instanceGroupManagers.resize",
                target,
                work,
            ))
        })
        .await
}

async fn members(
    Shared(cloud): Shared<Cloud>,
    place: Place,
    Query(query): Query<ListQuery>,
) -> Answer {
    let key = place.key()?;
    cloud.store().read(|state| {
        let manager = state.get::<InstanceGroupManager>(&key)?;
        let items = manager.members.iter().filter_map(|member| {
            let instance = &state.instances.get(&link::key_of(member)?)?.resource;
            let action = match instance.status {
                Status::Provisioning | Status::Staging => "CREATING",
                Status::Running | Status::Stopping | Status::Terminated => "NONE",
            };
            let item = json!({
                "id": instance.meta.id,
                "instance": member,
                "instanceStatus": instance.status,
                "currentAction": action,
                "version": {"instanceTemplate": manager.instance_template},
            });
            Some((member.clone(), item))
        });
        let page = list::page(items.collect(), &query)?;
        Ok(axum::Json(page.into_managed()))
    })
}
