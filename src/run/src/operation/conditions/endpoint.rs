//! The endpoint's address: whether it is reserved and matches the certificates.

use super::about;
use hakube_model::{ConditionKind, Intent, Observed};
use hakube_output::ConditionStatus;

pub(super) fn conditions(intent: &Intent, observed: &Observed) -> Option<ConditionStatus> {
    if let Some(lost) = observed.lost_address(intent) {
        let message = format!(
            "its address {lost} is no longer reserved; the next owner of the address would receive the cluster's traffic"
        );
        let kind = ConditionKind::EndpointAddressMissing;
        return Some(about(kind, "endpoint", message));
    }
    let reserved = observed.inventory.address.as_ref()?.address;
    let others = intent.replicas.iter().filter_map(|replica| {
        let certified = observed.certified_address(&replica.name)?;
        observed
            .is_certified_for_another(intent, &replica.name)
            .then_some((replica.name.as_str(), certified))
    });
    let others: Vec<(&str, _)> = others.collect();
    let (_, certified) = others.first()?;
    let names: Vec<&str> = others.iter().map(|(name, _)| *name).collect();
    let message = format!(
        "its address is {reserved}, but the certificates of {} are for {certified}",
        names.join(", ")
    );
    let kind = ConditionKind::EndpointAddressChanged;
    Some(about(kind, "endpoint", message))
}
