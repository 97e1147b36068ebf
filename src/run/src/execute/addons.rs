//! Addons and kubelet serving certificates.

use super::Execution;
use crate::{serving, wait};
use hakube_addons::Addon;
use hakube_error::{Error, Result};
use hakube_model::AddonState;

impl Execution<'_> {
    fn addon(&self, name: &str) -> Result<Addon> {
        let all = self.means.addons(self.intent);
        let mut all = all.into_iter();
        all.find(|addon| addon.name == name)
            .ok_or_else(|| Error::failed(format!("there is no addon {name}")))
    }

    pub(super) async fn apply_addon(&self, name: &str) -> Result<()> {
        let addon = self.addon(name)?;
        let kubernetes = &self.means.kubernetes;
        kubernetes.apply_addon(self.endpoint()?, &addon).await
    }

    /// Approves serving certificates meanwhile. metrics-server can't read kubelets without them.
    pub(super) async fn await_addon(&self, name: &str) -> Result<()> {
        let (endpoint, addon) = (self.endpoint()?, self.addon(name)?);
        let what = format!("addon {name} to be ready");
        let means = self.means;
        let ready = wait::until(&what, means.nodes_timeout, means.pace * 4, async || {
            self.approve_quietly().await;
            let wanted = std::slice::from_ref(&addon);
            let states = means.kubernetes.addons(endpoint, wanted).await;
            let states = states.map_err(|error| error.to_string())?;
            match states.get(name) {
                Some(AddonState::Ready) => Ok(()),
                Some(AddonState::NotReady { why } | AddonState::Unknown { why }) => {
                    Err(why.clone())
                }
                Some(AddonState::Differs { what }) => Err(what.join("; ")),
                Some(AddonState::Missing) | None => Err("it isn't installed".to_owned()),
            }
        });
        ready.await.map_err(|error| {
            error.hint(format!(
                "check its pods: kubectl get pods --all-namespaces --output wide, then kubectl describe; \
                 to wait again: hakube repair (addon {name})"
            ))
        })
    }

    pub(super) async fn approve_serving(&self) -> Result<()> {
        serving::approve(self.endpoint()?, self.means, &self.intent.spec.mark()).await
    }

    /// Approves serving certificates during another wait. That wait reports the failure.
    pub(super) async fn approve_quietly(&self) {
        if self.intent.spec.programs.pods.is_none() {
            return;
        }
        if let Err(error) = self.approve_serving().await {
            tracing::debug!(%error, "no serving certificates approved");
        }
    }
}
