//! The endpoint's address: reserves it, or a new one if it is lost.

use super::Execution;
use crate::NewAddress;
use hakube_error::{Error, Result};
use hakube_output::{Event, ask};
use hakube_provider::{AddressSpec, ErrorKind};
use std::net::IpAddr;

impl Execution<'_> {
    /// Reserves the previous address, if there was one. A new address cuts off clients of the old one, so it needs
    /// the operator's consent.
    pub(super) async fn reserve_address(&self, spec: &AddressSpec) -> Result<()> {
        let provider = &self.means.provider;
        let reserved = match (provider.ensure_address(spec).await, spec.wanted) {
            (Err(error), Some(lost)) if error.kind == ErrorKind::Conflict => {
                self.agree_to_another(lost, error.into())?;
                let any = AddressSpec {
                    wanted: None,
                    ..spec.clone()
                };
                provider.ensure_address(&any).await?
            }
            (reserved, _) => reserved?,
        };
        // A call whose response was lost may have reserved another address already.
        if let Some(lost) = spec.wanted.filter(|lost| *lost != reserved.address) {
            self.reporter.event(&Event::warning(format!(
                "the endpoint's address is now {}: {lost} is no longer available. Certificates and this host's \
                 kubeconfig are updated. Update other kubeconfigs and DNS records, and recreate the nodes: \
                 hakube nodes scale 0, then hakube nodes scale N",
                reserved.address
            )));
        }
        self.directory.set_endpoint(reserved.address);
        Ok(())
    }

    fn agree_to_another(&self, lost: IpAddr, error: Error) -> Result<()> {
        let how = match self.means.new_address {
            // Only this host's kubeconfig has it.
            _ if self.intent.spec.is_on_this_host() => return Ok(()),
            NewAddress::Agreed => return Ok(()),
            NewAddress::Ask => ask(&format!(
                "The endpoint's address {lost} is no longer available. Reserve a new one? Certificates and this host's \
                 kubeconfig are updated; other kubeconfigs, DNS records and nodes aren't. Type yes to continue: "
            )),
            NewAddress::Refused => None,
        };
        if how.as_deref() == Some("yes") {
            return Ok(());
        }
        let mut refused = Error::refused(format!(
            "the endpoint's address {lost} is no longer available, and a new one needs your consent"
        ));
        refused.causes.push(error.to_string());
        Err(refused
            .hint("if you can get it back, reserve it under the name in the plan; then: hakube repair")
            .hint("to reserve a new one, with new certificates and a new kubeconfig: hakube repair --yes"))
    }
}
