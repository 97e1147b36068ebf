//! `certs` and `certs renew`, and the renewal of expired certificates that precedes every command.

use super::status::look;
use super::{Operation, conduct, interrupted};
use crate::Means;
use crate::Session;
use crate::execute::{Execution, Ledger};
use crate::scheduler;
use async_trait::async_trait;
use hakube_error::Result;
use hakube_model::{Intent, Observed};
use hakube_output::{CertificateList, Event};
use hakube_plan::{Plan, RenewRequest, expired, renewal};

/// The cluster's certificates.
///
/// # Errors
/// There is no such cluster, or its provider can't be reached.
pub async fn certificates(session: &Session) -> Result<CertificateList> {
    let (stored, observed) = look(session).await?;
    Ok(CertificateList::new(
        &stored.intent.spec.cluster,
        &observed.certificates,
        observed.tokens.as_deref().unwrap_or_default(),
    ))
}

/// Renews certificates, replica by replica.
///
/// # Errors
/// There is no such cluster or replica; a step failed.
pub async fn renew(session: &Session, request: &RenewRequest) -> Result<()> {
    conduct(session, "certs renew", async |operation| {
        let stored = session.present().await?;
        let means = operation.connect_existing(&stored).await?;
        let observed = operation.observe(&stored.intent, &means).await?;
        let plan = renewal(&stored.intent, &observed, request)?;
        operation.show(&plan);
        if session.dry_run {
            return Ok(());
        }
        if plan.is_empty() {
            session.reporter.event(&Event::note(
                "no certificate is due for renewal; to renew them anyway: --all",
            ));
        }
        operation
            .renew(&plan, &stored.intent, &observed, &means)
            .await
    })
    .await
}

impl Operation<'_> {
    /// Renews expired certificates first, because they make healthy servers look down. Returns whether there were any.
    pub(super) async fn renew_expired(
        &self,
        intent: &Intent,
        observed: &Observed,
        means: &Means,
    ) -> Result<bool> {
        if self.session.dry_run {
            return Ok(false);
        }
        let Some(plan) = expired(intent, observed) else {
            return Ok(false);
        };
        self.session.reporter.event(&Event::warning(
            "certificates have expired; renewing them first",
        ));
        self.show(&plan);
        self.renew(&plan, intent, observed, means).await?;
        Ok(true)
    }

    fn show(&self, plan: &Plan) {
        let reporter = &self.session.reporter;
        // None of these steps calls the provider.
        reporter.event(&Event::plan(plan, |_| Vec::new()));
    }

    async fn renew(
        &self,
        plan: &Plan,
        intent: &Intent,
        observed: &Observed,
        means: &Means,
    ) -> Result<()> {
        let session = self.session;
        let reporter = session.reporter.as_ref();
        let execution = Execution::new(intent, means, &observed.inventory, &Nothing, reporter);
        let run = scheduler::run(plan, means.timeout, &session.stop, reporter, async |step| {
            execution.run(step).await
        });
        let report = run.await;
        self.note(&report);
        if report.interrupted {
            return Err(interrupted(self.name));
        }
        match report.failure() {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }
}

/// A renewal has nothing to record.
struct Nothing;

#[async_trait]
impl Ledger for Nothing {
    async fn etcd_is_formed(&self) -> Result<()> {
        Ok(())
    }

    async fn learner_joins(&self, _: &str) -> Result<()> {
        Ok(())
    }
}
