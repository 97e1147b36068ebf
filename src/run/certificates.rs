//! Which certificates there are, and when they end: read on the machines, which needs no certificate that may have
//! expired.

use super::Means;
use super::observe::running;
use crate::cluster::{Certificate, Certificates, Intent, ReplicaCertificates};
use crate::error::Result;
use crate::kubeconfig;
use crate::pki::{self, LEAVES, LeafFile, Signer};
use futures::future::{join_all, try_join_all};
use hakube_provider::{Inventory, MachineRef};
use jiff::Timestamp;

/// Looks at the certificates of all replicas whose machines run, of the user's kubeconfig, and of the authorities.
pub async fn look(intent: &Intent, inventory: &Inventory, means: &Means) -> Certificates {
    let now = means.clock.now();
    let replicas = running(inventory)
        .filter(|machine| intent.replica(&machine.name).is_some())
        .map(async |machine| {
            let asked = MachineRef {
                name: machine.name.clone(),
                zone: machine.zone.clone(),
            };
            let found = of_replica(intent, &asked, means, now).await;
            let found = found.unwrap_or_else(|error| ReplicaCertificates::Unknown {
                why: error.to_string(),
            });
            (asked.name, found)
        });
    Certificates {
        at: now,
        replicas: join_all(replicas).await.into_iter().collect(),
        kubeconfig: of_kubeconfig(intent, means, now),
        authorities: of_authorities(means),
    }
}

/// A replica without a certificate for its API server hasn't been given any yet.
async fn of_replica(
    intent: &Intent,
    machine: &MachineRef,
    means: &Means,
    now: Timestamp,
) -> Result<ReplicaCertificates> {
    let read = LEAVES.map(async |leaf| {
        let content = means.channel.read(machine, leaf.path).await?;
        Ok::<_, crate::error::Error>((leaf, content))
    });
    let read = try_join_all(read).await?;
    if read.iter().all(|(_, content)| content.is_none()) {
        return Ok(ReplicaCertificates::Known(Vec::new()));
    }
    let certificate = |(leaf, content): (LeafFile, Option<Vec<u8>>)| {
        let pem = content.and_then(|content| String::from_utf8(content).ok());
        Certificate {
            file: leaf.path.to_owned(),
            purpose: leaf.purpose.to_owned(),
            authority: leaf.signer.name().to_owned(),
            life: pem.and_then(|pem| pki::life(&pem).ok()),
            renewable_until: renewable_until(intent, means, leaf.signer, now),
        }
    };
    Ok(ReplicaCertificates::Known(
        read.into_iter().map(certificate).collect(),
    ))
}

fn of_kubeconfig(intent: &Intent, means: &Means, now: Timestamp) -> Option<Certificate> {
    let (path, pem) = kubeconfig::client_certificate(&means.kubeconfig, &means.context)?;
    Some(Certificate {
        file: path.display().to_string(),
        purpose: "administrator to the API server".to_owned(),
        authority: Signer::Kubernetes.name().to_owned(),
        life: pki::life(&pem).ok(),
        renewable_until: renewable_until(intent, means, Signer::Kubernetes, now),
    })
}

fn of_authorities(means: &Means) -> Vec<Certificate> {
    let certificate = |signer: Signer| Certificate {
        file: format!("{}.crt", signer.name()),
        purpose: "authority".to_owned(),
        authority: signer.name().to_owned(),
        life: pki::life(means.authorities.certificate_of(signer)).ok(),
        renewable_until: means.authorities.end_of(signer),
    };
    Signer::ALL.map(certificate).into()
}

fn renewable_until(intent: &Intent, means: &Means, signer: Signer, now: Timestamp) -> Timestamp {
    let end = means.authorities.end_of(signer);
    intent.spec.pki.leaf_end(now, end)
}
