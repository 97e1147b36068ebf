//! Fault rules, from outside.

use bytes::Bytes;
use hyper::Method;
use serde::Deserialize;

use super::{ClientError, LocalCloud};
use crate::faults::{FaultReport, FaultRule, LoggedRequest};

#[derive(Deserialize)]
struct Report {
    rules: Vec<FaultReport>,
}

#[derive(Deserialize)]
struct Requests {
    requests: Vec<LoggedRequest>,
}

impl LocalCloud {
    /// Replaces all fault rules. Their counters start at 0, and operations that are stuck go on.
    pub async fn set_faults(&self, rules: &[FaultRule]) -> Result<(), ClientError> {
        let body = serde_json::json!({ "rules": rules }).to_string();
        self.call::<Report>(Method::PUT, "/faults", body.into())
            .await?;
        Ok(())
    }

    /// The fault rules, and what they did so far.
    pub async fn faults(&self) -> Result<Vec<FaultReport>, ClientError> {
        let report: Report = self.call(Method::GET, "/faults", Bytes::new()).await?;
        Ok(report.rules)
    }

    /// Takes all fault rules away; operations that are stuck go on.
    pub async fn clear_faults(&self) -> Result<(), ClientError> {
        self.call::<Report>(Method::DELETE, "/faults", Bytes::new())
            .await?;
        Ok(())
    }

    /// The requests to the Compute Engine API with an ordinal above `after`, oldest first. The daemon
    /// keeps the last few thousand.
    pub async fn requests(&self, after: u64) -> Result<Vec<LoggedRequest>, ClientError> {
        let path = format!("/requests?after={after}");
        let log: Requests = self.call(Method::GET, &path, Bytes::new()).await?;
        Ok(log.requests)
    }
}
