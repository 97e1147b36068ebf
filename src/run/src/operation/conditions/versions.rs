//! Programs of another version than requested.

use super::{about, of_replica};
use hakube_model::Program;
use hakube_model::{ConditionKind, Intent, Observed};
use hakube_output::ConditionStatus;
use semver::Version;

pub(super) fn conditions(intent: &Intent, observed: &Observed) -> Vec<ConditionStatus> {
    let spec = &intent.spec;
    let wanted = &spec.versions.kubernetes;
    let programs = &spec.programs;
    let mut conditions = Vec::new();
    if let Some(etcd) = &spec.versions.etcd {
        for member in observed.etcd.members() {
            let Some(runs) = differing(etcd, member.version.as_deref()) else {
                continue;
            };
            let kind = ConditionKind::EtcdVersionDiffers;
            let message = format!("etcd is version {runs} instead of {etcd}");
            let fix = replace("etcd", &programs.etcd, &member.name);
            conditions.push(of_replica(kind, &member.name, message).fixed_by([fix]));
        }
    }
    for (replica, api) in &observed.apis {
        let Some(runs) = differing(wanted, api.version.as_deref()) else {
            continue;
        };
        let kind = ConditionKind::KubernetesVersionDiffers;
        let message = format!("its API server is v{runs} instead of v{wanted}");
        let fix = replace("Kubernetes", &programs.kube_apiserver, replica);
        conditions.push(of_replica(kind, replica, message).fixed_by([fix]));
    }
    for node in observed.nodes.iter().flatten() {
        let Some(runs) = differing(wanted, node.kubelet.as_deref()) else {
            continue;
        };
        let kind = ConditionKind::KubeletVersionDiffers;
        let message = format!("its kubelet is v{runs} instead of v{wanted}");
        let fix = match &programs.kubelet {
            Program::Installed(file) => format!(
                "replace its {} with v{wanted}, then restart its kubelet",
                file.display()
            ),
            _ => format!("delete its machine, then: {}", super::REPAIR),
        };
        conditions.push(about(kind, &node.name, message).fixed_by([fix]));
    }
    conditions
}

/// The running version, if it differs from `wanted`. Build metadata after a plus is ignored.
fn differing(wanted: &Version, runs: Option<&str>) -> Option<Version> {
    let text = runs?;
    let version = Version::parse(text.strip_prefix('v').unwrap_or(text)).ok()?;
    let is_same = version.cmp_precedence(wanted).is_eq();
    (!is_same).then_some(version)
}

/// A new machine gets the requested version, unless the program is preinstalled on machines.
fn replace(what: &str, program: &Program, replica: &str) -> String {
    match program {
        Program::Installed(file) => format!(
            "machines use their own {}: install the requested {what} there, then: hakube replace {replica}",
            file.display()
        ),
        _ => format!("hakube replace {replica}"),
    }
}
