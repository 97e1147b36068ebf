//! Changing calls: sent once despite network failures, and followed to their end.
//!
//! Each has a `requestId`, so Compute Engine recognizes a repetition as the same call. For the
//! choice of the id and its limits, see `request.rs`.

use crate::Gce;
use crate::error::Fault;
use crate::link::name_in;
use google_cloud_compute_v1::model::Operation;
use google_cloud_compute_v1::model::operation::Status;
use google_cloud_gax::options::RequestOptionsBuilder as _;
use hakube_provider::{Attempt, ErrorKind, ProviderError, ResourceKind, Result};
use uuid::Uuid;

/// A changing call as a function of its request id. With the id, it can be retried safely.
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

/// A call of a service in the cluster's project: of the project, `in region`, or in a zone.
macro_rules! request {
    ($gce:ident.$service:ident.$method:ident) => {
        $gce.clients
            .$service()
            .await?
            .$method()
            .set_project(&$gce.config.project)
    };
    ($gce:ident.$service:ident.$method:ident in region) => {
        request!($gce.$service.$method).set_region(&$gce.config.region)
    };
    ($gce:ident.$service:ident.$method:ident in $zone:expr) => {
        request!($gce.$service.$method).set_zone($zone)
    };
}
pub(crate) use request;

/// Sends a list call and collects all pages.
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

/// A service's resources in all zones that match a filter: a future.
macro_rules! every_zone {
    ($gce:ident.$service:ident, $filter:expr) => {
        async {
            let what = concat!("the project's ", stringify!($service));
            let attempt = hakube_provider::Attempt::new("list", what);
            let list = crate::operation::request!($gce.$service.aggregated_list);
            let scopes = crate::operation::every!(attempt, list.set_filter($filter)).into_iter();
            let all = scopes.flat_map(|(_, scope)| scope.$service).collect();
            hakube_provider::Result::<Vec<_>>::Ok(all)
        }
    };
}
pub(crate) use every_zone;

/// The response to a read; `None` if the resource doesn't exist.
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

/// A changing call in flight. Its response is an operation.
pub(crate) trait Sent: Future<Output = google_cloud_gax::Result<Operation>> {}

impl<S: Future<Output = google_cloud_gax::Result<Operation>>> Sent for S {}

/// The project that an operation runs in, from its own URL.
fn project(operation: &Operation) -> Option<&str> {
    let (_, rest) = operation.self_link.as_deref()?.split_once("/projects/")?;
    rest.split('/').next()
}

/// Where an operation is polled.
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
    /// An attempt on a resource of the provider's region.
    pub(crate) fn regional_attempt(
        &self,
        action: &'static str,
        kind: ResourceKind,
        name: &str,
    ) -> Attempt {
        Attempt::new(action, format!("{kind} {name} in {}", self.config.region))
    }

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

    /// Creates a resource that didn't exist when it was last read. If it exists now, another caller
    /// or an earlier call has created it. The next call will read it and check its owner.
    pub(crate) async fn insert<S: Sent>(
        &self,
        attempt: &Attempt,
        change: impl FnOnce(Uuid) -> S,
    ) -> Result<()> {
        self.finish(attempt, change).await?.map_err(|fault| {
            let lost = fault.is_already_exists();
            raced(
                attempt,
                &fault,
                lost,
                "it was created by another call at the same time",
            )
        })
    }

    /// Changes a resource that was just read. The call includes its fingerprint. If the fingerprint
    /// is stale, the resource has changed since, and the next call will read it again.
    pub(crate) async fn update<S: Sent>(
        &self,
        attempt: &Attempt,
        change: impl FnOnce(Uuid) -> S,
    ) -> Result<()> {
        self.finish(attempt, change).await?.map_err(|fault| {
            let lost = fault.is_stale();
            raced(attempt, &fault, lost, "it changed since it was read")
        })
    }

    /// Deletes a resource. If it has disappeared since it was read, that is a success.
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

    /// A change's result: done, or the fault that rejected or ended it.
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
            let message = format!("operation {name} isn't done after {} s", patience.as_secs());
            return Err(attempt.error(ErrorKind::TRANSIENT, message));
        };
        let ended = ended?.to_result().map(|_| ()).map_err(Fault::from);
        self.requests.ended(&request);
        if request.in_doubt {
            return Err(attempt.error(
                ErrorKind::TRANSIENT,
                "the response may belong to an earlier identical call: the result must be checked again",
            ));
        }
        Ok(ended)
    }

    /// The operation once it is done, successfully or not.
    async fn ended(&self, attempt: &Attempt, mut operation: Operation) -> Result<Operation> {
        let mut polls = 0;
        while operation.status != Some(Status::Done) {
            if let Some(answer) = self.wait(attempt, &operation).await? {
                operation = answer;
            }
            if operation.status != Some(Status::Done) {
                tokio::time::sleep(self.config.poll.pause(polls)).await;
                polls += 1;
            }
        }
        Ok(operation)
    }

    /// One `operations.wait` call. It blocks on the server, and may return unfinished or time out.
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
                // The result of the change is unknown. The next call will find out.
                failed.kind = ErrorKind::TRANSIENT;
            }
            failed
        })
    }
}

/// The error of a call that may have lost a race. If it did, a retry sees the winner's change.
fn raced(attempt: &Attempt, fault: &Fault, lost: bool, why: &str) -> ProviderError {
    let mut error = attempt.failed(fault);
    if lost {
        error.kind = ErrorKind::TRANSIENT;
        error.hint = Some(format!("{why}: run the command again"));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_polled_where_it_runs() {
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
