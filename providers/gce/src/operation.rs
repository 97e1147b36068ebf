//! Calls that change something: sent once whatever the network does, and followed to their end.
//!
//! A changing call bears a `requestId`, so that a call that is sent again is the same call to Compute Engine
//! and not another: `request.rs` says which id, and what it proves.

use crate::Gce;
use crate::error::Fault;
use crate::link::name_in;
use google_cloud_compute_v1::model::Operation;
use google_cloud_compute_v1::model::operation::Status;
use google_cloud_gax::options::RequestOptionsBuilder as _;
use hakube_provider::{Attempt, ErrorKind, ProviderError, Result};
use uuid::Uuid;

/// A changing call, to be sent under an id; safe to be sent again inside the call then.
macro_rules! change {
    ($builder:expr) => {{
        use google_cloud_gax::options::RequestOptionsBuilder as _;
        let builder = $builder;
        move |id: uuid::Uuid| {
            builder
                .set_request_id(id.to_string())
                .with_idempotency(true)
                .send()
        }
    }};
}
pub(crate) use change;

/// Sends a list call and follows every page.
macro_rules! every {
    ($attempt:expr, $list:expr) => {{
        use google_cloud_gax::paginator::ItemPaginator as _;
        let mut items = $list.by_item();
        let mut all = Vec::new();
        while let Some(item) = items.next().await {
            all.push(item.map_err(|error| $attempt.failed(&crate::error::Fault::from(error)))?);
        }
        all
    }};
}
pub(crate) use every;

/// The answer to a read, `None` when the resource isn't there.
pub(crate) async fn look<T>(
    attempt: &Attempt,
    answer: impl Future<Output = google_cloud_gax::Result<T>>,
) -> Result<Option<T>> {
    match answer.await {
        Ok(found) => Ok(Some(found)),
        Err(error) => {
            let fault = Fault::from(error);
            if fault.is_not_found() {
                return Ok(None);
            }
            Err(attempt.to("read").failed(&fault))
        }
    }
}

/// A changing call on its way: its answer is an operation.
pub(crate) trait Sent: Future<Output = google_cloud_gax::Result<Operation>> {}

impl<S: Future<Output = google_cloud_gax::Result<Operation>>> Sent for S {}

/// The project that an operation runs in: that of what it works on, which its own URL names.
fn project(operation: &Operation) -> Option<&str> {
    let (_, rest) = operation.self_link.as_deref()?.split_once("/projects/")?;
    rest.split('/').next()
}

/// Where an operation is asked about.
#[derive(Debug, PartialEq, Eq)]
enum Place<'a> {
    Global,
    Region(&'a str),
    Zone(&'a str),
}

fn place(operation: &Operation) -> Place<'_> {
    match (&operation.zone, &operation.region) {
        (Some(zone), _) => Place::Zone(name_in(zone)),
        (None, Some(region)) => Place::Region(name_in(region)),
        (None, None) => Place::Global,
    }
}

impl Gce {
    /// Makes a change and waits for its end.
    pub(crate) async fn run<S: Sent>(
        &self,
        attempt: &Attempt,
        change: impl FnOnce(Uuid) -> S,
    ) -> Result<()> {
        self.finish(attempt, change)
            .await?
            .map_err(|fault| attempt.failed(&fault))
    }

    /// Makes a resource that wasn't there a moment ago. One that has appeared since is another caller's
    /// or an earlier call's: the next call will look at it and judge by its mark.
    pub(crate) async fn insert<S: Sent>(
        &self,
        attempt: &Attempt,
        change: impl FnOnce(Uuid) -> S,
    ) -> Result<()> {
        self.finish(attempt, change).await?.map_err(|fault| {
            let lost = fault.is_already_exists();
            raced(attempt, &fault, lost, "it appeared while it was being made")
        })
    }

    /// Changes a resource that was looked at a moment ago; the call repeats the fingerprint that it had then. If
    /// that isn't its fingerprint any more, somebody else has changed it: the next call will look again.
    pub(crate) async fn update<S: Sent>(
        &self,
        attempt: &Attempt,
        change: impl FnOnce(Uuid) -> S,
    ) -> Result<()> {
        self.finish(attempt, change).await?.map_err(|fault| {
            let lost = fault.is_stale();
            raced(attempt, &fault, lost, "it changed since it was looked at")
        })
    }

    /// Deletes a resource; one that has vanished since it was looked at is success.
    pub(crate) async fn remove<S: Sent>(
        &self,
        attempt: &Attempt,
        change: impl FnOnce(Uuid) -> S,
    ) -> Result<()> {
        match self.finish(attempt, change).await? {
            Err(fault) if !fault.is_not_found() => Err(attempt.failed(&fault)),
            _ => Ok(()),
        }
    }

    /// The end of a change: done, or the fault with which it was refused or ended.
    async fn finish<S: Sent>(
        &self,
        attempt: &Attempt,
        change: impl FnOnce(Uuid) -> S,
    ) -> Result<std::result::Result<(), Fault>> {
        let request = self.requests.next(attempt);
        let operation = match change(request.id).await {
            Ok(operation) => operation,
            Err(error) => return Ok(Err(Fault::from(error))),
        };
        let name = operation.name.clone().unwrap_or_default();
        let patience = self.config.patience.operation;
        let ended = tokio::time::timeout(patience, self.ended(attempt, operation)).await;
        let Ok(ended) = ended else {
            let message = format!(
                "operation {name} is still not done after {} s",
                patience.as_secs()
            );
            return Err(attempt.error(ErrorKind::Transient { retry_after: None }, message));
        };
        let ended = ended?.to_result().map(|_| ()).map_err(Fault::from);
        self.requests.ended(&request);
        if request.in_doubt {
            return Err(attempt.error(
                ErrorKind::Transient { retry_after: None },
                "an earlier call for the same may have been answered, not this one: looking again",
            ));
        }
        Ok(ended)
    }

    /// The operation once it is done, well or badly.
    async fn ended(&self, attempt: &Attempt, mut operation: Operation) -> Result<Operation> {
        let mut answers = 0;
        while operation.status != Some(Status::Done) {
            if let Some(answer) = self.wait(attempt, &operation).await? {
                operation = answer;
            }
            if operation.status != Some(Status::Done) {
                tokio::time::sleep(self.config.poll.pause(answers)).await;
                answers += 1;
            }
        }
        Ok(operation)
    }

    /// One `operations.wait`: blocks on the server's side, and may come back not done, or not at all.
    async fn wait(&self, attempt: &Attempt, operation: &Operation) -> Result<Option<Operation>> {
        let name = operation.name.as_deref().unwrap_or_default();
        let project = project(operation).unwrap_or(&self.config.project);
        macro_rules! wait {
            ($client:expr $(, $set:ident($value:expr))?) => {
                $client
                    .wait()
                    .set_project(project)
                    .set_operation(name)
                    $(.$set($value))?
                    .with_idempotency(true)
                    .with_retry_policy(self.clients.wait_policy())
                    .send()
                    .await
            };
        }
        let answer = match place(operation) {
            Place::Zone(zone) => wait!(self.clients.zone_operations().await?, set_zone(zone)),
            Place::Region(region) => {
                wait!(self.clients.region_operations().await?, set_region(region))
            }
            Place::Global => wait!(self.clients.global_operations().await?),
        };
        let error = match answer {
            Ok(operation) => return Ok(Some(operation)),
            Err(error) if error.is_timeout() => return Ok(None),
            Err(error) => error,
        };
        Err({
            let fault = Fault::from(error);
            let mut failed = attempt.failed(&fault);
            if fault.is_not_found() {
                // What became of the change isn't known: whoever calls again will see.
                failed.kind = ErrorKind::Transient { retry_after: None };
            }
            failed
        })
    }
}

/// The error of a call that may have lost a race: then, whoever calls again sees what won.
fn raced(attempt: &Attempt, fault: &Fault, lost: bool, why: &str) -> ProviderError {
    let mut error = attempt.failed(fault);
    if lost {
        error.kind = ErrorKind::Transient { retry_after: None };
        error.hint = Some(format!("{why}: do the same again"));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_asked_about_where_it_runs() {
        let url = "https://www.googleapis.com/compute/v1/projects/p";
        let zonal = Operation::new().set_zone(format!("{url}/zones/europe-west1-b"));
        let regional = Operation::new().set_region(format!("{url}/regions/europe-west1"));
        assert_eq!(place(&zonal), Place::Zone("europe-west1-b"));
        assert_eq!(place(&regional), Place::Region("europe-west1"));
        assert_eq!(place(&Operation::new()), Place::Global);
        let of_host = "https://www.googleapis.com/compute/v1/projects/host/global/operations/o";
        assert_eq!(
            project(&Operation::new().set_self_link(of_host)),
            Some("host")
        );
        assert_eq!(project(&Operation::new()), None);
    }
}
