//! Operations: the progress of a change from PENDING to DONE.

use std::time::Duration;

use axum::Json;
use futures::future::join_all;
use hakube_local_resources::rules::instance_group_manager::{remake, retire};
use hakube_local_resources::rules::managed::view;
use hakube_local_resources::rules::{access_config, instance, network, quota};
use hakube_local_resources::types::instance::Status as InstanceStatus;
use hakube_local_resources::types::operation::Status;
use hakube_local_resources::types::{
    InstanceGroup, InstanceGroupManager, Job, Operation, Request, Work,
};
use hakube_local_resources::{ApiError, Key, Phase, State, Target, Type};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::calls;
use crate::cloud::Cloud;
use crate::faults::OperationFault;

/// How long Compute Engine lets a machine shut down before it cuts the power: usually 90 s.
const SHUTDOWN_PERIOD: Duration = Duration::from_secs(90);

/// The query parameter that makes a change idempotent.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestId {
    request_id: Option<String>,
}

impl RequestId {
    fn checked(self) -> Result<Option<String>, ApiError> {
        let Some(text) = self.request_id.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        match Uuid::parse_str(&text) {
            Ok(id) if !id.is_nil() => Ok(Some(text)),
            _ => Err(ApiError::invalid(
                "requestId",
                text,
                "Must be a valid, non-zero UUID.",
            )),
        }
    }
}

/// How many finished operations are kept.
const KEPT_OPERATIONS: usize = 1000;
/// With a time scale of 0, responses are DONE already, unless a machine takes longer to stop.
const AT_ONCE: Duration = Duration::from_secs(2);
/// The fraction of an operation's time in which it is PENDING.
const PENDING: f64 = 0.1;

impl Cloud {
    /// Accepts a change of the resource `of`, or rejects it without side effects. `change` validates,
    /// changes the state, and returns the remaining work; the response is the operation that does it. A
    /// repeated `requestId` gets the same operation as before.
    pub async fn begin(
        &self,
        id: RequestId,
        of: &Key,
        change: impl FnOnce(&mut State) -> Result<Request, ApiError>,
    ) -> Result<Json<Value>, ApiError> {
        let id = id.checked()?;
        let OperationFault { error, stuck } = OperationFault::of_this_request();
        let mut accepted = None;
        let saved = self
            .store()
            .transact(|state| {
                let repeated = state
                    .operations
                    .within_project(of.project.as_deref(), &of.scope)
                    .find(|(_, operation)| id.is_some() && operation.client_operation_id == id);
                if let Some((key, _)) = repeated {
                    return Ok(key.clone());
                }
                let mut draft = state.clone();
                let request = change(&mut draft)?;
                quota::check(state, &draft)?;
                let (key, operation) = Operation::pending(&draft, &request, id);
                if error.is_none() {
                    *state = draft;
                }
                state.operations.put(key.clone(), Phase::Ready, operation);
                let job = Job {
                    target: request.target,
                    work: request.work,
                    in_force: false,
                    fails: error,
                    stuck,
                };
                state.jobs.insert(key.clone(), job);
                forget_oldest(state);
                accepted = Some(key.clone());
                Ok(key)
            })
            .await;
        // A change that could not be saved is still in force, so its work must be done.
        if let Some(key) = accepted {
            let cloud = self.clone();
            self.spawn(async move { run(&cloud, &key).await });
        }
        let key = saved?;
        if self.is_instant() && stuck.is_none() {
            self.wait_for_operation(&key, AT_ONCE).await;
            self.store().flush().await?;
        }
        self.store().read(|state| {
            let operation = state.get::<Operation>(&key)?;
            Ok(Json(Value::Object(view(operation, state))))
        })
    }

    /// Returns when an operation is done or deleted, or after `at_most`.
    pub async fn wait_for_operation(&self, key: &Key, at_most: Duration) {
        let done = self
            .store()
            .wait_for(|state| match state.operations.get(key) {
                Some(record) if record.resource.status != Status::Done => None,
                _ => Some(()),
            });
        let stopped = self.stopped();
        tokio::select! {
            _ = tokio::time::timeout(at_most, done) => {}
            () = stopped => {}
        }
    }
}

/// Resumes the operations that were in progress when the last daemon stopped.
pub fn carry_on(cloud: &Cloud) {
    cloud.store().update(restore_left);
    let unfinished: Vec<Key> = cloud
        .store()
        .read(|state| state.jobs.keys().cloned().collect());
    for key in unfinished {
        let own = cloud.clone();
        cloud.spawn(async move { run(&own, &key).await });
    }
}

fn forget_oldest(state: &mut State) {
    if state.operations.len() <= KEPT_OPERATIONS {
        return;
    }
    let oldest = state
        .operations
        .iter()
        .filter_map(|(key, operation)| Some((operation.ended()?, key)))
        .min()
        .map(|(_, key)| key.clone());
    if let Some(oldest) = oldest {
        state.table_mut(Type::Operation).remove(&oldest);
    }
}

async fn run(cloud: &Cloud, key: &Key) {
    let Some(job) = cloud.store().read(|state| state.jobs.get(key).cloned()) else {
        return;
    };
    let time = cloud.scaled(job.median());
    let result = async {
        tokio::time::sleep(time.mul_f64(PENDING)).await;
        cloud.store().update(|state| {
            if let Some(operation) = state.operations.get_mut(key) {
                operation.begin();
            }
        });
        if let Some(stuck) = job.stuck {
            cloud.faults().unstuck(stuck).await;
        }
        if let Some(error) = &job.fails {
            return Err(error.clone());
        }
        release(cloud, &job).await?;
        tokio::time::sleep(time.mul_f64(1.0 - PENDING)).await;
        provide(cloud, key, &job).await
    }
    .await;
    if let Err(error) = &result {
        tracing::warn!(target = %job.target.key, work = ?job.work, %error, "operation failed");
    }
    let is_undone = result.is_err() && job.fails.is_none();
    if is_undone && !job.work.removes() {
        undo(cloud, &job).await;
    }
    cloud.store().update(|state| {
        state.jobs.remove(key);
        if is_undone && job.work.removes() {
            keep(state, &job);
        }
        if let Some(operation) = state.operations.get_mut(key) {
            operation.end(result);
        }
    });
}

/// The first half: removes what is to be deleted.
async fn release(cloud: &Cloud, job: &Job) -> Result<(), ApiError> {
    let key = &job.target.key;
    let going: Vec<Key> = match (&job.work, job.target.kind) {
        (Work::Remove, Type::Instance) => {
            cloud
                .store()
                .update(|state| retire(state, std::slice::from_ref(key)));
            vec![key.clone()]
        }
        (Work::Remove, Type::InstanceGroupManager) => cloud.store().update(|state| {
            let members = members(state, key);
            retire(state, &members);
            members
        }),
        (Work::Stop, _) => vec![key.clone()],
        (Work::Resize { going }, _) => going.clone(),
        (Work::Recreate { members }, _) => members.clone(),
        (Work::Create, Type::Instance) => {
            cloud
                .store()
                .update(|state| set_status(state, key, InstanceStatus::Staging));
            Vec::new()
        }
        _ => Vec::new(),
    };
    cloud.reconcile().await;
    let grace = cloud.scaled(SHUTDOWN_PERIOD);
    let downs = going.iter().map(|key| cloud.guests().power_off(key, grace));
    join_all(downs).await.into_iter().collect()
}

/// The second half: applies what was requested.
async fn provide(cloud: &Cloud, operation: &Key, job: &Job) -> Result<(), ApiError> {
    let key = &job.target.key;
    match (&job.work, job.target.kind) {
        (Work::Create, Type::Instance) | (Work::Start, _) => cloud.power_on(key).await?,
        (Work::Create, Type::InstanceGroupManager) => {
            set_ready(cloud, &job.target);
            boot_members(cloud, key).await?;
        }
        (Work::Create, _) => set_ready(cloud, &job.target),
        (Work::Remove, Type::Instance) => {
            forget_instances(cloud, std::slice::from_ref(key)).await?;
            calls::replace_deleted(cloud, key).await?;
        }
        (Work::Remove, Type::InstanceGroupManager) => {
            let members = cloud.store().read(|state| members(state, key));
            forget_instances(cloud, &members).await?;
            remove(cloud, &job.target);
            remove(cloud, &Target::of::<InstanceGroup>(key));
        }
        (Work::Remove, kind) => {
            if kind == Type::Network {
                cloud
                    .store()
                    .update(|state| network::drop_subnetworks(state, key));
            }
            remove(cloud, &job.target);
        }
        (Work::Stop, _) => cloud.store().update(|state| {
            let Some(mut instance) = state.instances.get_mut(key).cloned() else {
                return;
            };
            instance.status = InstanceStatus::Terminated;
            access_config::release_ephemeral(state, &mut instance);
            if let Some(kept) = state.instances.get_mut(key) {
                *kept = instance;
            }
        }),
        (Work::Reset, _) => {
            cloud.guests().kill(key).await?;
            cloud.power_on(key).await?;
        }
        (Work::Resize { going }, _) => {
            forget_instances(cloud, going).await?;
            boot_members(cloud, key).await?;
        }
        (Work::Recreate { members }, _) => {
            forget_instances(cloud, members).await?;
            let remake = |state: &mut State| remake(state, key, members);
            cloud.store().transact(remake).await?;
            boot_members(cloud, key).await?;
        }
        (Work::Restart { members }, _) => {
            for member in members {
                cloud.guests().kill(member).await?;
                cloud.power_on(member).await?;
            }
        }
        (Work::AddAccessConfig, _) => cloud.store().update(|state| {
            if let Some(job) = state.jobs.get_mut(operation) {
                job.in_force = true;
            }
        }),
        (Work::Update, Type::Instance) => cloud.refresh(Some(key)).await,
        (Work::Update, Type::Project) => cloud.refresh(None).await,
        (Work::Update | Work::RemoveAccessConfig, _) => {}
    }
    let own = cloud.store().read(|state| state.path(&job.target));
    let failures = cloud.reconcile().await;
    let own = failures.into_iter().find(|failure| failure.owner == own);
    match own {
        Some(failure) if matches!(job.work, Work::Create | Work::Start | Work::AddAccessConfig) => {
            Err(ApiError::bad_request("addressInUse", failure.message))
        }
        _ => Ok(()),
    }
}

/// Rolls back a failed operation.
async fn undo(cloud: &Cloud, job: &Job) {
    let key = &job.target.key;
    match (&job.work, job.target.kind) {
        (Work::Create, Type::Instance) => {
            let undone = async {
                cloud.guests().kill(key).await?;
                forget_instances(cloud, std::slice::from_ref(key)).await
            };
            if let Err(error) = undone.await {
                tracing::warn!(instance = %key, %error, "cleanup of a failed operation failed");
            }
        }
        (Work::Create, Type::InstanceGroupManager) => {}
        (Work::Create, _) => remove(cloud, &job.target),
        (Work::Start | Work::Reset, _) => cloud
            .store()
            .update(|state| set_status(state, key, InstanceStatus::Terminated)),
        (Work::AddAccessConfig, _) => cloud.store().update(|state| {
            if let Some(instance) = state.instances.get_mut(key) {
                for nic in &mut instance.network_interfaces {
                    nic.access_configs.clear();
                }
            }
        }),
        _ => {}
    }
    cloud.reconcile().await;
}

/// What couldn't be deleted stays, stopped, and can be deleted again.
fn keep(state: &mut State, job: &Job) {
    let (kind, key) = (job.target.kind, &job.target.key);
    if state.table(kind).phase(key) == Some(Phase::Deleting) && kind != Type::Instance {
        state.table_mut(kind).set_phase(key, Phase::Ready);
    }
    restore_left(state);
}

/// Makes instances usable again that are marked as being deleted by no operation.
fn restore_left(state: &mut State) {
    let mut expected: Vec<Key> = Vec::new();
    for job in state.jobs.values() {
        match &job.work {
            Work::Resize { going } => expected.extend(going.iter().cloned()),
            Work::Recreate { members } => expected.extend(members.iter().cloned()),
            Work::Remove if job.target.kind == Type::InstanceGroupManager => {
                expected.extend(members(state, &job.target.key));
            }
            Work::Remove => expected.push(job.target.key.clone()),
            _ => {}
        }
    }
    let left: Vec<Key> = state
        .instances
        .iter()
        .map(|(key, _)| key.clone())
        .filter(|key| {
            state.table(Type::Instance).phase(key) == Some(Phase::Deleting)
                && !expected.contains(key)
        })
        .collect();
    for key in left {
        state
            .table_mut(Type::Instance)
            .set_phase(&key, Phase::Ready);
        set_status(state, &key, InstanceStatus::Terminated);
    }
}

pub async fn boot_members(cloud: &Cloud, manager: &Key) -> Result<(), ApiError> {
    let new: Vec<Key> = cloud.store().read(|state| {
        let members = members(state, manager).into_iter();
        let is_new = |key: &Key| state.table(Type::Instance).phase(key) == Some(Phase::Creating);
        members.filter(is_new).collect()
    });
    let boots = new.iter().map(|key| cloud.power_on(key));
    join_all(boots).await.into_iter().collect()
}

fn members(state: &State, manager: &Key) -> Vec<Key> {
    let manager = state.get::<InstanceGroupManager>(manager);
    manager
        .map(|manager| manager.member_keys().collect())
        .unwrap_or_default()
}

fn set_status(state: &mut State, key: &Key, status: InstanceStatus) {
    if let Some(instance) = state.instances.get_mut(key) {
        instance.status = status;
    }
}

fn set_ready(cloud: &Cloud, target: &Target) {
    cloud.store().update(|state| {
        state
            .table_mut(target.kind)
            .set_phase(&target.key, Phase::Ready)
    });
}

fn remove(cloud: &Cloud, target: &Target) {
    cloud
        .store()
        .update(|state| state.table_mut(target.kind).remove(&target.key));
}

/// Removes the machines' directories, then the instances.
async fn forget_instances(cloud: &Cloud, keys: &[Key]) -> Result<(), ApiError> {
    for key in keys {
        cloud.guests().remove(key).await?;
        cloud.store().update(|state| instance::forget(state, key));
    }
    Ok(())
}
