//! Certificates and clocks.

use super::{REPAIR, about, of_replica};
use hakube_model::{ConditionKind, Observed, Severity};
use hakube_output::ConditionStatus;
use std::collections::BTreeMap;

pub(super) fn conditions(observed: &Observed) -> impl Iterator<Item = ConditionStatus> {
    certificates(observed)
        .into_iter()
        .chain(clocks(observed).collect::<Vec<_>>())
}

/// One condition per owner, for its certificate that expires first.
fn certificates(observed: &Observed) -> Vec<ConditionStatus> {
    let now = observed.certificates.at;
    let mut first = BTreeMap::new();
    for (owner, certificate) in observed.certificates.all() {
        if certificate.severity(now) == Severity::Ok {
            continue;
        }
        let ends = certificate.life.map(|life| life.expires);
        let known = first.entry(owner).or_insert((ends, certificate));
        if ends < known.0 {
            *known = (ends, certificate);
        }
    }
    let conditions = first.into_iter().map(|(owner, (ends, certificate))| {
        let file = &certificate.file;
        let message = match ends {
            None => format!("{file} is missing"),
            Some(ends) if ends <= now => format!("{file} expired on {ends}"),
            Some(ends) => format!("{file} expires on {ends}"),
        };
        let kind = ConditionKind::CertificateExpires;
        match owner {
            "authority" => about(kind, owner, message)
                .fixed_by(["see docs/reliability.md: New authorities".to_owned()]),
            "kubeconfig" => about(kind, owner, message),
            replica => of_replica(kind, replica, message),
        }
    });
    conditions.collect()
}

fn clocks(observed: &Observed) -> impl Iterator<Item = ConditionStatus> {
    let clocks = observed.clocks.iter();
    let skewed = clocks.filter(|(_, ahead)| ahead.severity().is_some());
    skewed.map(|(replica, ahead)| {
        let seconds = ahead.0.unsigned_abs();
        let way = if ahead.0 < 0 { "behind" } else { "ahead of" };
        let message = format!("its clock is {seconds} s {way} this host's");
        let check = format!("check NTP on it and on this host; then: {REPAIR}");
        of_replica(ConditionKind::ClockSkewed, replica, message).fixed_by([check])
    })
}
