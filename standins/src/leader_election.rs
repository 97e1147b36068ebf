//! Leader election by Lease, as client-go's `leaderelection` does it: among stand-ins and real
//! components alike, one holds the lease.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::client::{ApiClient, ClientError};
use crate::error::{Result, StartError};
use crate::flags::Flags;

/// Followers wait up to this much longer than the retry period, so that they don't arrive together.
const JITTER: f64 = 1.2;

/// `LeaseSpec`, as far as elections use it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Record {
    holder_identity: String,
    lease_duration_seconds: u64,
    acquire_time: Option<String>,
    renew_time: Option<String>,
    lease_transitions: u64,
}

/// How long things take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Timing {
    /// Followers wait so long after the last renewal that they saw.
    lease_duration: Duration,
    /// The leader gives up when it couldn't renew for so long.
    renew_deadline: Duration,
    /// Between tries.
    retry_period: Duration,
}

impl Timing {
    /// client-go's rules: a leader must give up before others take over.
    fn check(self) -> Result<Self> {
        let wrong = |what: &str| Err(StartError::Usage(what.to_owned()));
        if self.lease_duration <= self.renew_deadline {
            return wrong(
                "--leader-elect-lease-duration must be greater than --leader-elect-renew-deadline",
            );
        }
        if self.renew_deadline <= self.retry_period.mul_f64(JITTER) {
            return wrong(
                "--leader-elect-renew-deadline must be greater than --leader-elect-retry-period*1.2",
            );
        }
        Ok(self)
    }
}

/// What to do about the lease as it was just read.
#[derive(Debug, PartialEq, Eq)]
enum Move {
    Create(Record),
    Update(Record),
    /// Somebody else holds it.
    Wait,
}

/// What a candidate knows. Time is its own: the holder's clock may be wrong, so what counts is when a
/// change was seen, not the time written in it.
#[derive(Debug)]
struct Candidate {
    identity: String,
    timing: Timing,
    observed: Option<(Record, Instant)>,
}

impl Candidate {
    fn next(&mut self, current: Option<Record>, now: Instant, wall: &str) -> Move {
        let mut mine = Record {
            holder_identity: self.identity.clone(),
            lease_duration_seconds: self.timing.lease_duration.as_secs(),
            acquire_time: Some(wall.to_owned()),
            renew_time: Some(wall.to_owned()),
            lease_transitions: 0,
        };
        let Some(current) = current else {
            return Move::Create(mine);
        };
        let seen = match &self.observed {
            Some((known, seen)) if *known == current => *seen,
            _ => now,
        };
        self.observed = Some((current.clone(), seen));
        if current.holder_identity == self.identity {
            mine.acquire_time = current.acquire_time;
            mine.lease_transitions = current.lease_transitions;
            return Move::Update(mine);
        }
        let valid = now < seen + Duration::from_secs(current.lease_duration_seconds);
        if valid && !current.holder_identity.is_empty() {
            return Move::Wait;
        }
        mine.lease_transitions = current.lease_transitions + 1;
        Move::Update(mine)
    }
}

/// A candidate with a client: takes part in one election.
pub struct Election {
    client: ApiClient,
    candidate: Candidate,
    namespace: String,
    name: String,
    leader: String,
}

impl Election {
    /// Of the `--leader-elect-*` flags.
    pub fn new(flags: &Flags, client: ApiClient) -> Result<Self> {
        if flags.text("leader-elect-resource-lock") != Some("leases") {
            return Err(StartError::Usage(
                "--leader-elect-resource-lock must be \"leases\"".to_owned(),
            ));
        }
        let host = nix::unistd::gethostname().map_err(|error| StartError::System {
            what: "can't get the host name",
            source: error.into(),
        })?;
        let timing = Timing {
            lease_duration: flags.duration("leader-elect-lease-duration"),
            renew_deadline: flags.duration("leader-elect-renew-deadline"),
            retry_period: flags.duration("leader-elect-retry-period"),
        };
        Ok(Self {
            client,
            candidate: Candidate {
                identity: format!("{}_{}", host.to_string_lossy(), uuid::Uuid::new_v4()),
                timing: timing.check()?,
                observed: None,
            },
            namespace: flags
                .required("leader-elect-resource-namespace")?
                .to_owned(),
            name: flags.required("leader-elect-resource-name")?.to_owned(),
            leader: String::new(),
        })
    }

    /// Waits until this process leads.
    pub async fn acquire(&mut self) {
        tracing::info!(
            "attempting to acquire leader lease {}/{}...",
            self.namespace,
            self.name
        );
        while !self.attempt().await {
            let pause = self.candidate.timing.retry_period;
            tokio::time::sleep(pause + pause.mul_f64(JITTER * rand::random::<f64>())).await;
        }
        tracing::info!(
            "successfully acquired lease {}/{}",
            self.namespace,
            self.name
        );
    }

    /// Keeps the lease. Returns when it is lost.
    pub async fn renew(&mut self) -> StartError {
        let Timing {
            renew_deadline,
            retry_period,
            ..
        } = self.candidate.timing;
        loop {
            tokio::time::sleep(retry_period).await;
            let renewed = async {
                while !self.attempt().await {
                    tokio::time::sleep(retry_period).await;
                }
            };
            if tokio::time::timeout(renew_deadline, renewed).await.is_err() {
                let (lease, deadline) = (
                    format!("{}/{}", self.namespace, self.name),
                    renew_deadline.as_secs(),
                );
                return StartError::LeadershipLost(format!(
                    "lease {lease} could not be renewed for {deadline} s"
                ));
            }
        }
    }

    /// One try. Failures are retried by the callers, within their deadlines.
    async fn attempt(&mut self) -> bool {
        match self.try_acquire_or_renew().await {
            Ok(leading) => leading,
            Err(error) => {
                // A conflict is another candidate's luck, and no news.
                if !error.is_conflict() {
                    tracing::warn!(%error, server = self.client.server(), "lease {}/{}", self.namespace, self.name);
                }
                false
            }
        }
    }

    async fn try_acquire_or_renew(&mut self) -> Result<bool, ClientError> {
        let collection = format!(
            "/apis/coordination.k8s.io/v1/namespaces/{}/leases",
            self.namespace
        );
        let path = format!("{collection}/{}", self.name);
        let lease = match self.client.get(&path).await {
            Ok(lease) => Some(lease),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        let current: Option<Record> = lease
            .as_ref()
            .map(|lease| serde_json::from_value(lease["spec"].clone()).unwrap_or_default());
        self.note_leader(current.as_ref());
        match self.candidate.next(current, Instant::now(), &micro_time()) {
            Move::Wait => return Ok(false),
            Move::Create(record) => {
                let lease = json!({
                    "apiVersion": "coordination.k8s.io/v1",
                    "kind": "Lease",
                    "metadata": {"name": self.name, "namespace": self.namespace},
                    "spec": record,
                });
                self.client.create(&collection, &lease).await?;
            }
            Move::Update(record) => {
                let mut lease = lease.unwrap_or_default();
                lease["spec"] = overlay(lease["spec"].take(), &record);
                self.client.replace(&path, &lease).await?;
            }
        }
        Ok(true)
    }

    fn note_leader(&mut self, current: Option<&Record>) {
        let holder = current
            .map(|record| record.holder_identity.as_str())
            .unwrap_or_default();
        if holder != self.leader && holder != self.candidate.identity && !holder.is_empty() {
            tracing::info!("new leader elected: {holder}");
        }
        self.leader = holder.to_owned();
    }
}

/// Keeps what newer versions put into a spec.
fn overlay(mut spec: Value, record: &Record) -> Value {
    if !spec.is_object() {
        spec = json!({});
    }
    if let (Some(spec), Value::Object(record)) = (spec.as_object_mut(), json!(record)) {
        spec.extend(record);
    }
    spec
}

/// Now, as `metav1.MicroTime`.
pub fn micro_time() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing {
        lease_duration: Duration::from_secs(15),
        renew_deadline: Duration::from_secs(10),
        retry_period: Duration::from_secs(2),
    };

    fn candidate() -> Candidate {
        Candidate {
            identity: "me".to_owned(),
            timing: TIMING,
            observed: None,
        }
    }

    fn held_by(holder: &str, renewed: &str) -> Option<Record> {
        Some(Record {
            holder_identity: holder.to_owned(),
            lease_duration_seconds: 15,
            acquire_time: Some("t0".to_owned()),
            renew_time: Some(renewed.to_owned()),
            lease_transitions: 3,
        })
    }

    #[test]
    fn a_lease_that_nobody_made_is_created() {
        let made = candidate().next(None, Instant::now(), "now");
        assert!(
            matches!(made, Move::Create(record) if record.holder_identity == "me" && record.lease_transitions == 0)
        );
    }

    #[test]
    fn a_renewal_keeps_when_it_was_acquired() {
        let renewed = candidate().next(held_by("me", "t1"), Instant::now(), "now");
        assert!(matches!(renewed, Move::Update(record)
            if record.acquire_time.as_deref() == Some("t0") && record.renew_time.as_deref() == Some("now")
                && record.lease_transitions == 3));
    }

    #[test]
    fn another_holder_is_left_alone_until_its_time_has_passed_on_our_clock() {
        let (mut me, start) = (candidate(), Instant::now());
        assert_eq!(me.next(held_by("you", "t1"), start, "now"), Move::Wait);
        assert_eq!(
            me.next(held_by("you", "t1"), start + Duration::from_secs(14), "now"),
            Move::Wait
        );
        // A renewal starts the time anew.
        assert_eq!(
            me.next(held_by("you", "t2"), start + Duration::from_secs(14), "now"),
            Move::Wait
        );
        assert_eq!(
            me.next(held_by("you", "t2"), start + Duration::from_secs(28), "now"),
            Move::Wait
        );
        let taken = me.next(held_by("you", "t2"), start + Duration::from_secs(29), "now");
        assert!(matches!(taken, Move::Update(record)
            if record.lease_transitions == 4 && record.acquire_time.as_deref() == Some("now")));
    }

    #[test]
    fn a_released_lease_is_free_at_once() {
        assert!(matches!(
            candidate().next(held_by("", "t1"), Instant::now(), "now"),
            Move::Update(_)
        ));
    }

    #[test]
    fn timings_that_would_allow_two_leaders_are_refused() {
        assert!(TIMING.check().is_ok());
        assert!(
            Timing {
                lease_duration: Duration::from_secs(10),
                ..TIMING
            }
            .check()
            .is_err()
        );
        assert!(
            Timing {
                retry_period: Duration::from_secs(9),
                ..TIMING
            }
            .check()
            .is_err()
        );
    }

    #[test]
    fn times_have_six_decimals() {
        let time = micro_time();
        assert!(
            time.ends_with('Z')
                && time
                    .split_once('.')
                    .is_some_and(|(_, rest)| rest.len() == 7),
            "{time}"
        );
    }
}
