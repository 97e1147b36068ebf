//! Warnings about settings that are valid, but may not be what the operator expects.

use super::quorum_reads;
use super::table;
use super::types::Settings;
use super::validate::{KUBERNETES_MINORS, flags};
use super::warning::Warning;
use hakube_model::{Arch, ProviderKind};

/// The limit that etcd's authors recommend.
const QUOTA_ADVISED: u64 = 8 << 30;

/// All warnings about these settings.
pub fn on(settings: &Settings) -> Vec<Warning> {
    let version = &settings.versions.kubernetes;
    let quorum = quorum_reads::warning(&settings.quorum_reads, table::QUORUM_READ.key, version);
    let last = KUBERNETES_MINORS.end();
    let newer = ((version.major, version.minor) > (1, *last)).then(|| {
        let key = table::KUBE_VERSION.key;
        Warning::new(
            key,
            format!(
                "{key} is v{version}, newer than the newest that hakube supports, 1.{last}: a \
                 component may refuse to start."
            ),
        )
    });
    let quota = settings.etcd.quota_bytes;
    let large = (quota > QUOTA_ADVISED).then(|| {
        let key = table::ETCD_QUOTA.key;
        Warning::new(
            key,
            format!("{key} is {quota}: etcd's authors recommend at most {QUOTA_ADVISED}."),
        )
    });
    let settled = quorum.into_iter().chain(newer).chain(large);
    let controllers = unknown_controllers(settings);
    settled
        .chain(controllers)
        .chain(never_compacted(settings))
        .chain(images_of_another_architecture(settings))
        .collect()
}

/// The controller manager doesn't start with a name that it doesn't know. A newer version may know more.
fn unknown_controllers(settings: &Settings) -> Option<Warning> {
    let unknown = settings.controller_manager.controllers.unknown();
    let key = table::RUN_CONTROLLERS.key;
    (!unknown.is_empty()).then(|| {
        let names = unknown.join(", ");
        Warning::new(
            key,
            format!(
                "{key} names {names}, which hakube doesn't know: if Kubernetes {} doesn't either, its controller \
                 manager won't start.",
                settings.versions.kubernetes
            ),
        )
    })
}

/// Programs of one architecture don't run on another. Image names usually include theirs.
fn images_of_another_architecture(settings: &Settings) -> Vec<Warning> {
    let other = match settings.arch {
        Arch::Amd64 => Arch::Arm64,
        Arch::Arm64 => Arch::Amd64,
    };
    let has_images = matches!(settings.provider, ProviderKind::Gce | ProviderKind::Libvirt);
    let images = [
        (table::MASTER_IMAGE.key, &settings.replicas.image),
        (table::NODE_IMAGE.key, &settings.nodes.image),
    ];
    let images = images
        .into_iter()
        .filter(|(_, image)| has_images && image.contains(other.name()));
    images
        .map(|(key, image)| {
            Warning::new(
                key,
                format!(
                    "{key} is {image}, by its name an image for {other}, but programs are downloaded for {} \
                     (HAKUBE_NODE_ARCH): they won't run on it.",
                    settings.arch
                ),
            )
        })
        .collect()
}

/// Without compaction, etcd grows to its quota and then refuses writes.
fn never_compacted(settings: &Settings) -> Option<Warning> {
    let mut arguments = flags(&settings.etcd.extra_args);
    let by_itself = arguments.any(|flag| flag == "auto-compaction-retention");
    let never = settings.api.compaction_seconds == Some(0) && !by_itself;
    let key = table::ETCD_COMPACTION.key;
    never.then(|| {
        Warning::new(
            key,
            format!(
                "{key} is 0, so etcd's history is never compacted: it will grow until it refuses writes. Put \
                 --auto-compaction-retention=5m in {}.",
                table::ETCD_ARGS.key
            ),
        )
    })
}
