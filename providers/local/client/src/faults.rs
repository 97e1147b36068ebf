//! Fault rules and the request log.

use bytes::Bytes;
use hyper::Method;

use crate::cloud::LocalCloud;
use crate::error::ClientError;
use crate::rule::{FaultReport, FaultReports, FaultRule, LoggedRequest, LoggedRequests};

impl LocalCloud {
    /// Replaces all fault rules. Counters start at 0, and stuck operations resume.
    pub async fn set_faults(&self, rules: &[FaultRule]) -> Result<(), ClientError> {
        let body = serde_json::json!({ "rules": rules }).to_string();
        self.call::<FaultReports>(Method::PUT, "/faults", body.into())
            .await?;
        Ok(())
    }

    /// The fault rules and their counters.
    pub async fn faults(&self) -> Result<Vec<FaultReport>, ClientError> {
        let report: FaultReports = self.call(Method::GET, "/faults", Bytes::new()).await?;
        Ok(report.rules)
    }

    /// Removes all fault rules. Stuck operations resume.
    pub async fn clear_faults(&self) -> Result<(), ClientError> {
        self.call::<FaultReports>(Method::DELETE, "/faults", Bytes::new())
            .await?;
        Ok(())
    }

    /// The requests to the Compute Engine API with an ordinal above `after`, oldest first. The daemon keeps
    /// the last 4096.
    pub async fn requests(&self, after: u64) -> Result<Vec<LoggedRequest>, ClientError> {
        let path = format!("/requests?after={after}");
        let log: LoggedRequests = self.call(Method::GET, &path, Bytes::new()).await?;
        Ok(log.requests)
    }
}
