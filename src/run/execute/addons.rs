//! Addons: applied, waited for; and the certificates that kubelets serve with.

use super::Execution;
use crate::addons::{self, Addon};
use crate::cluster::AddonState;
use crate::error::{Error, Result};
use crate::run::{serving, wait};

impl Execution<'_> {
    fn addon(&self, name: &str) -> Result<Addon> {
        let all = addons::all(
            &self.intent.spec,
            self.means.authorities.kubelet_ca(),
            self.intent.runs_pods(),
        );
        let mut all = all.into_iter();
        all.find(|addon| addon.name == name)
            .ok_or_else(|| Error::failed(format!("there is no addon {name}")))
    }

    pub(super) async fn apply_addon(&self, name: &str) -> Result<()> {
        let addon = self.addon(name)?;
        let kubernetes = &self.means.kubernetes;
        kubernetes.apply_addon(self.endpoint()?, &addon).await
    }

    /// A kubelet whose certificate isn't approved serves nobody, metrics-server included.
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
                Some(AddonState::Missing) | None => Err("it isn't there".to_owned()),
            }
        });
        ready.await.map_err(|error| {
            error.hint(format!(
                "see its pods: kubectl get pods --all-namespaces --output wide, then kubectl describe; \
                 to wait again: hakube repair (addon {name})"
            ))
        })
    }

    pub(super) async fn approve_serving(&self) -> Result<()> {
        serving::approve(self.endpoint()?, self.means, &self.intent.spec.cluster).await
    }

    /// The same while something else is waited for, which tells what is wrong.
    pub(super) async fn approve_quietly(&self) {
        if self.intent.spec.programs.pods.is_none() {
            return;
        }
        if let Err(error) = self.approve_serving().await {
            tracing::debug!(%error, "no serving certificates approved");
        }
    }
}
