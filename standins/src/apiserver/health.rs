//! /healthz, /livez, /readyz.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::{Response, StatusCode};

use super::request::Query;
use super::status::respond;
use super::storage::Store;
use crate::serve::Body;

/// How long etcd may take before the server counts as not ready.
const ETCD_TIMEOUT: Duration = Duration::from_secs(2);

/// The checks, in the order in which they are listed. The last is the real API server's name for it.
const CHECKS: [&str; 3] = [
    "ping",
    "etcd",
    "poststarthook/start-system-namespaces-controller",
];

/// Whether this server can serve.
pub struct Health {
    store: Store,
    bootstrapped: AtomicBool,
    /// What the last check of etcd came to: the log is told of changes, not of checks.
    etcd_trouble: Mutex<Option<String>>,
}

impl Health {
    /// Not ready yet.
    pub fn new(store: Store) -> Self {
        Self {
            store,
            bootstrapped: AtomicBool::new(false),
            etcd_trouble: Mutex::new(Some("etcd was not asked yet".to_owned())),
        }
    }

    /// The built-in namespaces exist.
    pub fn bootstrapped(&self) {
        self.bootstrapped.store(true, Ordering::Relaxed);
    }

    /// Answers a health path; `None` for any other.
    pub async fn answer(&self, path: &str, query: &Query) -> Option<Response<Body>> {
        let mut parts = path.trim_matches('/').splitn(2, '/');
        let endpoint = parts
            .next()
            .filter(|name| matches!(*name, "healthz" | "livez" | "readyz"))?;
        let one = parts.next();
        // Being alive doesn't depend on others: restarting this process wouldn't bring etcd back.
        let checks: Vec<&str> = match (one, endpoint) {
            (Some(one), _) => vec![CHECKS.into_iter().find(|check| *check == one)?],
            (None, "livez") => vec!["ping"],
            _ => CHECKS.to_vec(),
        };
        let excluded = query.get("exclude").map(String::as_str);
        let mut lines = Vec::new();
        let mut ok = true;
        for check in checks {
            if excluded == Some(check) {
                lines.push(format!("[+]{check} excluded: ok"));
            } else if self.passes(check).await {
                lines.push(format!("[+]{check} ok"));
            } else {
                ok = false;
                lines.push(format!("[-]{check} failed: reason withheld"));
            }
        }
        let verbose = query.contains_key("verbose");
        Some(match (ok, verbose) {
            (true, false) => respond(StatusCode::OK, TEXT, "ok"),
            (true, true) => respond(
                StatusCode::OK,
                TEXT,
                format!("{}\n{endpoint} check passed\n", lines.join("\n")),
            ),
            (false, _) => respond(
                StatusCode::INTERNAL_SERVER_ERROR,
                TEXT,
                format!("{}\n{endpoint} check failed\n", lines.join("\n")),
            ),
        })
    }

    async fn passes(&self, check: &str) -> bool {
        match check {
            "ping" => true,
            "etcd" => self.etcd().await,
            _ => self.bootstrapped.load(Ordering::Relaxed),
        }
    }

    async fn etcd(&self) -> bool {
        let trouble = self
            .store
            .ping(ETCD_TIMEOUT)
            .await
            .err()
            .map(|error| error.to_string());
        let ok = trouble.is_none();
        let mut known = self
            .etcd_trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *known != trouble {
            match &trouble {
                None => tracing::info!("etcd answers"),
                Some(trouble) => tracing::warn!("not ready: {trouble}"),
            }
            *known = trouble;
        }
        ok
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
