//! Reserved addresses.

use crate::Gce;
use crate::mark::ours;
use crate::operation::{change, look, request};
use google_cloud_compute_v1::model;
use google_cloud_compute_v1::model::address::AddressType;
use hakube_provider::{
    Address, AddressSpec, Attempt, ErrorKind, ProviderError, Reach, ResourceKind, Result,
    mark_description,
};

impl Gce {
    /// See [`hakube_provider::Provider::ensure_address`].
    pub(crate) async fn put_address(&self, spec: &AddressSpec) -> Result<Address> {
        // A different action than for any address, because both calls may be made in one operation.
        let action = match spec.wanted {
            None => "reserve",
            Some(_) => "take back",
        };
        let attempt = self.regional_attempt(action, ResourceKind::Address, &spec.name);
        if let Some(found) = self.address(&spec.name).await? {
            return reservation(&attempt, &ours(&attempt, &spec.cluster, found)?);
        }
        let wanted = model::Address::new()
            .set_name(&spec.name)
            .set_description(mark_description(&spec.cluster))
            .set_or_clear_address(spec.wanted.map(|address| address.to_string()));
        let wanted = match &spec.reach {
            Reach::Anywhere => wanted.set_address_type(AddressType::External),
            Reach::Within { subnetwork, .. } => wanted
                .set_address_type(AddressType::Internal)
                .set_subnetwork(self.subnetwork_link(subnetwork)),
        };
        let insert = request!(self.addresses.insert in region).set_body(wanted);
        let inserted = self.insert(&attempt, change!(insert)).await;
        inserted.map_err(|error| not_to_be_had(spec, error))?;
        match self.address(&spec.name).await? {
            Some(made) => reservation(&attempt, &made),
            None => Err(attempt.error(
                ErrorKind::TRANSIENT,
                "it disappeared right after its creation",
            )),
        }
    }

    pub(crate) async fn address(&self, name: &str) -> Result<Option<model::Address>> {
        let attempt = self.regional_attempt("read", ResourceKind::Address, name);
        let get = request!(self.addresses.get in region).set_address(name);
        look(&attempt, get.send()).await
    }

    /// An existing reservation. A missing one is an error.
    pub(crate) async fn reserved(&self, name: &str) -> Result<Address> {
        let attempt = self.regional_attempt("use", ResourceKind::Address, name);
        match self.address(name).await? {
            Some(found) => reservation(&attempt, &found),
            None => Err(attempt.error(ErrorKind::Invalid, "it isn't reserved")),
        }
    }
}

/// An unused external address can't be chosen, because Google assigns it to any customer. An address in use
/// can only be reserved by its user. Compute Engine reports both as an invalid request.
fn not_to_be_had(spec: &AddressSpec, error: ProviderError) -> ProviderError {
    match error.kind {
        ErrorKind::Invalid if spec.wanted.is_some() => ProviderError {
            kind: ErrorKind::Conflict,
            ..error
        },
        _ => error,
    }
}

/// The reservation, if it has an address yet.
pub(crate) fn reservation(attempt: &Attempt, found: &model::Address) -> Result<Address> {
    let address = found.address.as_deref().and_then(|text| text.parse().ok());
    match (&found.name, address) {
        (Some(name), Some(address)) => Ok(Address {
            name: name.clone(),
            address,
        }),
        _ => Err(attempt.error(ErrorKind::TRANSIENT, "it is still being reserved")),
    }
}
