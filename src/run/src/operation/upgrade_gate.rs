//! What must be fixed before an upgrade: problems of the cluster, requests for removed APIs, and webhooks that can't
//! answer.

use super::Operation;
use super::conditions::conditions;
use crate::{Means, Stored};
use futures::future::try_join_all;
use hakube_error::{Error, Result};
use hakube_model::{ConditionKind, Observed};
use hakube_output::Event;
use semver::Version;

/// A finding. Its name is stable, so that operators can decide to go ahead despite it.
struct Finding {
    /// `certificate-expires/kubernetes-master`.
    name: String,
    message: String,
    fix: Vec<String>,
}

impl Finding {
    /// Whether `ignored` is its name, or its kind: the part before the first slash.
    fn is_ignored(&self, ignored: &[String]) -> bool {
        let kind = self.name.split('/').next();
        ignored
            .iter()
            .any(|name| *name == self.name || Some(name.as_str()) == kind)
    }
}

/// Checks that nothing is in the way of an upgrade from the stored intent to this version. Changes nothing.
///
/// # Errors
/// Refused: all findings that aren't ignored, each with its name and fix. Or the API servers can't be asked.
pub(super) async fn check(
    operation: &Operation<'_>,
    stored: &Stored,
    observed: &Observed,
    means: &Means,
    to: &Version,
    ignored: &[String],
) -> Result<()> {
    let mut findings = of_cluster(stored, observed);
    findings.extend(deprecated(stored, observed, means, to).await?);
    findings.extend(webhooks(stored, observed, means).await?);
    let (ignored, kept): (Vec<Finding>, Vec<Finding>) = findings
        .into_iter()
        .partition(|finding| finding.is_ignored(ignored));
    for finding in ignored {
        let Finding { name, message, .. } = finding;
        let note = format!("ignored as requested: {name}: {message}");
        operation.session.reporter.event(&Event::warning(note));
    }
    if kept.is_empty() {
        return Ok(());
    }
    let cluster = operation.session.cluster();
    let mut error = Error::refused(format!(
        "cluster {cluster} isn't ready for an upgrade to Kubernetes v{to}; nothing was changed"
    ));
    let mut hints: Vec<String> = Vec::new();
    for Finding { name, message, fix } in kept {
        error = error.because(format!("{name}: {message}"));
        for fix in fix {
            if !hints.contains(&fix) {
                hints.push(fix);
            }
        }
    }
    let error = hints.into_iter().fold(error, Error::hint);
    Err(error.hint("to go ahead despite one of them: hakube upgrade --ignore NAME"))
}

/// The conditions that `status` reports. Other versions than requested are what an upgrade is for.
fn of_cluster(stored: &Stored, observed: &Observed) -> Vec<Finding> {
    let all = conditions(stored, observed, false).into_iter();
    all.filter(|condition| {
        !matches!(
            condition.kind,
            ConditionKind::KubernetesVersionDiffers
                | ConditionKind::EtcdVersionDiffers
                | ConditionKind::KubeletVersionDiffers
        )
    })
    .map(|condition| Finding {
        name: format!("{}/{}", condition.kind, condition.about),
        message: condition.message,
        fix: condition.fix,
    })
    .collect()
}

/// APIs that clients have used since their API server started, and that `to` doesn't serve any more.
async fn deprecated(
    stored: &Stored,
    observed: &Observed,
    means: &Means,
    to: &Version,
) -> Result<Vec<Finding>> {
    let port = stored.intent.spec.api.port;
    let machines = &observed.inventory.machines;
    let replicas = machines
        .iter()
        .filter(|machine| stored.intent.replica(&machine.name).is_some());
    let asked = replicas.map(async |machine| {
        let door = means.channel.reach(machine, port).await?;
        means.kubernetes.deprecated_apis(&door).await
    });
    let mut found: Vec<_> = try_join_all(asked).await?.into_iter().flatten().collect();
    found.sort();
    found.dedup();
    let gone = found
        .into_iter()
        .filter(|api| api.removed <= (to.major, to.minor));
    Ok(gone
        .map(|api| Finding {
            message: format!(
                "clients use this API, which v{}.{} doesn't serve",
                api.removed.0, api.removed.1
            ),
            name: format!("deprecated-api/{}", api.name),
            fix: vec![
                "update the clients of deprecated APIs: \
                 https://kubernetes.io/docs/reference/using-api/deprecation-guide"
                    .to_owned(),
            ],
        })
        .collect())
}

/// Webhooks without which the API server accepts no objects, and that can't answer.
async fn webhooks(stored: &Stored, observed: &Observed, means: &Means) -> Result<Vec<Finding>> {
    let address = observed.inventory.address.as_ref();
    let reserved = address.map(|address| address.address);
    let Some(endpoint) = stored.intent.spec.endpoint_at(reserved) else {
        return Ok(Vec::new());
    };
    let dead = means.kubernetes.dead_webhooks(endpoint).await?;
    Ok(dead
        .into_iter()
        .map(|webhook| Finding {
            message: format!("its Service {} has no ready endpoint", webhook.service),
            fix: vec![format!(
                "bring its pods back, or delete it: kubectl delete {}",
                webhook.object.replacen('/', " ", 1)
            )],
            name: format!("webhook/{}", webhook.object),
        })
        .collect())
}
