//! The properties of machines, whether they are created individually or from a group's template.

use crate::mark::labels;
use crate::ssh;
use google_cloud_compute_v1::model;
use google_cloud_compute_v1::model::scheduling::{
    InstanceTerminationAction, OnHostMaintenance, ProvisioningModel,
};
use hakube_provider::MachineSpec;

/// gcloud's scope aliases that differ from the scope's last part. Source:
/// <https://cloud.google.com/sdk/gcloud/reference/compute/instances/create#--scopes>.
const SCOPES: [(&str, &str); 9] = [
    ("compute-ro", "compute.readonly"),
    ("compute-rw", "compute"),
    ("logging-write", "logging.write"),
    ("monitoring-write", "monitoring.write"),
    ("service-control", "servicecontrol"),
    ("service-management", "service.management.readonly"),
    ("storage-full", "devstorage.full_control"),
    ("storage-ro", "devstorage.read_only"),
    ("storage-rw", "devstorage.read_write"),
];

/// The boot disk: created from the image and deleted with the machine, but labelled in case it
/// outlives it. `kind` is its type: a link for an instance, a name for a template.
pub(crate) fn boot_disk(spec: &MachineSpec, kind: String) -> model::AttachedDisk {
    model::AttachedDisk::new()
        .set_boot(true)
        .set_auto_delete(true)
        .set_initialize_params(
            model::AttachedDiskInitializeParams::new()
                .set_source_image(&spec.image)
                .set_disk_size_gb(size_gb(spec.boot_disk_gb))
                .set_disk_type(kind)
                .set_labels(labels(&spec.cluster, &spec.labels)),
        )
}

/// Compute Engine's sizes are signed.
pub(crate) fn size_gb(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

pub(crate) fn tags(spec: &MachineSpec) -> model::Tags {
    model::Tags::new().set_items(&spec.tags)
}

pub(crate) fn metadata(spec: &MachineSpec) -> model::Metadata {
    let user_data = ("user-data", spec.user_data.clone());
    let login = spec.login.iter().flat_map(ssh::metadata);
    let items = std::iter::once(user_data).chain(login);
    model::Metadata::new().set_items(
        items.map(|(key, value)| model::metadata::Items::new().set_key(key).set_value(value)),
    )
}

/// Compute Engine can neither migrate nor restart a spot machine. Spot machines replaced preemptible ones: as
/// cheap, but without the 24-hour limit. A reclaimed machine is stopped and keeps its disks.
pub(crate) fn scheduling(spec: &MachineSpec) -> model::Scheduling {
    let maintenance = if spec.preemptible {
        OnHostMaintenance::Terminate
    } else {
        OnHostMaintenance::Migrate
    };
    let scheduling = model::Scheduling::new()
        .set_preemptible(spec.preemptible)
        .set_automatic_restart(!spec.preemptible)
        .set_on_host_maintenance(maintenance);
    if spec.preemptible {
        scheduling
            .set_provisioning_model(ProvisioningModel::Spot)
            .set_instance_termination_action(InstanceTerminationAction::Stop)
    } else {
        scheduling
    }
}

/// `None` without scopes: Compute Engine requires scopes with an account.
pub(crate) fn service_account(spec: &MachineSpec) -> Option<model::ServiceAccount> {
    let email = spec.service_account.as_deref().unwrap_or("default");
    (!spec.scopes.is_empty()).then(|| {
        model::ServiceAccount::new()
            .set_email(email)
            .set_scopes(spec.scopes.iter().map(|scope| scope_url(scope)))
    })
}

/// A scope's URL, from gcloud's alias.
fn scope_url(scope: &str) -> String {
    if scope.starts_with("https://") {
        return scope.to_owned();
    }
    let known = SCOPES.iter().find(|(word, _)| *word == scope);
    let last = known.map_or(scope, |(_, last)| last);
    format!("https://www.googleapis.com/auth/{last}")
}

pub(crate) fn shielded() -> model::ShieldedInstanceConfig {
    model::ShieldedInstanceConfig::new()
        .set_enable_secure_boot(true)
        .set_enable_vtpm(true)
        .set_enable_integrity_monitoring(true)
}
