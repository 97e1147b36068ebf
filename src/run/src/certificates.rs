//! The cluster's certificates and when they expire. They are read on the machines, because that works with
//! expired certificates too.

use super::Means;
use super::machines::running;
use futures::future::{join_all, try_join_all};
use hakube_error::Result;
use hakube_kubeconfig as kubeconfig;
use hakube_model::{Certificate, Certificates, Intent, ReplicaCertificates};
use hakube_pki::{self as pki, LEAVES, LeafFile, SERVING, Signer};
use hakube_provider::{Inventory, Machine, MachineRef};
use jiff::Timestamp;
use std::net::{IpAddr, Ipv4Addr};

/// Reads the certificates of every replica with a running machine, the user's kubeconfig and the authorities.
pub async fn look(intent: &Intent, inventory: &Inventory, means: &Means) -> Certificates {
    let now = means.clock.now();
    let replicas = running(inventory)
        .filter(|machine| intent.replica(&machine.name).is_some())
        .map(async |machine| {
            let asked = machine.machine_ref();
            let found = of_replica(intent, &asked, means, now).await;
            let found = found.unwrap_or_else(|error| {
                let why = error.to_string();
                (ReplicaCertificates::Unknown { why }, Vec::new())
            });
            let (found, addresses) = found;
            (asked.name, found, endpoint(intent, machine, &addresses))
        });
    let found = join_all(replicas).await;
    let endpoints = found
        .iter()
        .filter_map(|(name, _, endpoint)| Some((name.clone(), (*endpoint)?)));
    Certificates {
        at: now,
        endpoints: endpoints.collect(),
        replicas: found
            .into_iter()
            .map(|(name, found, _)| (name, found))
            .collect(),
        kubeconfig: of_kubeconfig(intent, means, now),
        authorities: of_authorities(means),
    }
}

/// The endpoint's address: the one address in the serving certificate that isn't a known other one.
fn endpoint(intent: &Intent, machine: &Machine, addresses: &[IpAddr]) -> Option<IpAddr> {
    let spec = &intent.spec;
    let is_known = |address: &IpAddr| {
        let text = address.to_string();
        address.is_loopback() && !spec.is_on_this_host()
            || *address == IpAddr::V4(Ipv4Addr::LOCALHOST)
            || machine.internal_address == Some(*address)
            || *address == spec.network.service_address()
            || spec.api.extra_sans.contains(&text)
    };
    addresses.iter().find(|address| !is_known(address)).copied()
}

/// An empty list means that the replica has no certificates yet.
async fn of_replica(
    intent: &Intent,
    machine: &MachineRef,
    means: &Means,
    now: Timestamp,
) -> Result<(ReplicaCertificates, Vec<IpAddr>)> {
    let read = LEAVES.map(async |leaf| {
        let content = means.channel.read(machine, leaf.path).await?;
        Ok::<_, hakube_error::Error>((leaf, content))
    });
    let read = try_join_all(read).await?;
    if read.iter().all(|(_, content)| content.is_none()) {
        return Ok((ReplicaCertificates::Known(Vec::new()), Vec::new()));
    }
    let serving = read.iter().find(|(leaf, _)| leaf.path == SERVING);
    let serving = serving.and_then(|(_, content)| String::from_utf8(content.clone()?).ok());
    let addresses = serving.and_then(|pem| pki::addresses(&pem).ok());
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
    Ok((
        ReplicaCertificates::Known(read.into_iter().map(certificate).collect()),
        addresses.unwrap_or_default(),
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
