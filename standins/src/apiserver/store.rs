//! Objects in etcd: JSON under `/registry/<resource>/[<namespace>/]<name>`, versioned by revision.
//!
//! All reads are linearizable. Writes are transactions that compare the revision first, so two API servers
//! in front of two members never lose an update.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use etcd_client::{
    Certificate, Client, Compare, CompareOp, ConnectOptions, Error as EtcdError, GetOptions,
    GetResponse, Identity, KeyValue, KvClient, TlsOptions, Txn, TxnOp,
};
use serde_json::Value;
use tokio::sync::Mutex;

use super::status::ApiError;
use super::tls::{Stamp, stamp};
use crate::Result;
use crate::flags::Flags;

/// The timeout for etcd, whose own limit for a write is 7 s.
const TIMEOUT: Duration = Duration::from_secs(8);

/// The largest response of etcd, in bytes. gRPC's default of 4 MB is less than a list of many objects.
const MAX_MESSAGE: usize = i32::MAX as usize;

impl From<EtcdError> for ApiError {
    fn from(error: EtcdError) -> Self {
        tracing::warn!(%error, "etcd");
        Self::internal(error)
    }
}

/// A connection to the replica's etcd. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Connection>);

struct Connection {
    servers: Vec<String>,
    ca: Certificate,
    certificate: PathBuf,
    key: PathBuf,
    current: Mutex<(Stamp, Client)>,
}

impl Store {
    /// Prepares the connection that the flags describe. etcd need not respond yet.
    pub async fn connect(flags: &Flags) -> Result<Self> {
        let servers: Vec<String> = flags.list("etcd-servers").map(str::to_owned).collect();
        let ca = Certificate::from_pem(flags.read("etcd-cafile")?);
        let (certificate, key) = (flags.path("etcd-certfile")?, flags.path("etcd-keyfile")?);
        let stamp = stamp(&[&certificate, &key]);
        let identity =
            Identity::from_pem(flags.read("etcd-certfile")?, flags.read("etcd-keyfile")?);
        let client = open(&servers, ca.clone(), identity).await;
        let client = client.map_err(|error| format!("--etcd-servers: {error}"))?;
        Ok(Self(Arc::new(Connection {
            servers,
            ca,
            certificate,
            key,
            current: Mutex::new((stamp, client)),
        })))
    }

    /// Connects again if the certificate was renewed.
    async fn kv(&self) -> KvClient {
        let Connection {
            servers,
            ca,
            certificate,
            key,
            current,
        } = &*self.0;
        let mut current = current.lock().await;
        let now = stamp(&[certificate, key]);
        if current.0 != now
            && let (Ok(certificate), Ok(key)) = (std::fs::read(certificate), std::fs::read(key))
        {
            let identity = Identity::from_pem(certificate, key);
            match open(servers, ca.clone(), identity).await {
                Ok(client) => *current = (now, client),
                // One file was replaced, the other not yet.
                Err(error) => tracing::warn!(%error, "keeping the existing connection to etcd"),
            }
        }
        let client = current.1.kv_client();
        client.max_decoding_message_size(MAX_MESSAGE)
    }

    /// A linearizable read that touches no object: whether this member can serve. A learner can't.
    pub async fn ping(&self, timeout: Duration) -> Result<()> {
        let mut kv = self.kv().await;
        match tokio::time::timeout(timeout, kv.get("/registry/health", None)).await {
            Ok(answer) => answer.map(drop).map_err(|error| error.to_string()),
            Err(_) => Err("no response".to_owned()),
        }
    }

    pub async fn get(&self, key: &str) -> Result<Option<Value>, ApiError> {
        let mut kv = self.kv().await;
        let answer = in_time(kv.get(key, None)).await?;
        objects(&answer).map(|mut objects| objects.pop())
    }

    /// The objects below `prefix` (which ends in a slash) in the order of their keys, and the revision.
    pub async fn list(&self, prefix: &str) -> Result<(Vec<Value>, i64), ApiError> {
        let mut kv = self.kv().await;
        let options = GetOptions::new().with_prefix();
        let answer = in_time(kv.get(prefix, Some(options))).await?;
        let revision = answer.header().map_or(0, |header| header.revision());
        Ok((objects(&answer)?, revision))
    }

    /// Stores an object if it is still at `revision`; 0 means that it doesn't exist. Sets its new version, and
    /// returns false if another writer was faster.
    pub async fn put(
        &self,
        key: &str,
        object: &mut Value,
        revision: i64,
    ) -> Result<bool, ApiError> {
        // etcd stores the revision anyway.
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.shift_remove("resourceVersion");
        }
        let put = TxnOp::put(key, object.to_string(), None);
        let written = self.write(key, revision, put).await?;
        if let Some(revision) = written {
            set_version(object, revision);
        }
        Ok(written.is_some())
    }

    /// Deletes an object if it is still at `revision`, and returns whether it was.
    pub async fn delete(&self, key: &str, revision: i64) -> Result<bool, ApiError> {
        let written = self.write(key, revision, TxnOp::delete(key, None)).await?;
        Ok(written.is_some())
    }

    /// The new revision; `None` if the object isn't at `revision`.
    async fn write(
        &self,
        key: &str,
        revision: i64,
        operation: TxnOp,
    ) -> Result<Option<i64>, ApiError> {
        let mut kv = self.kv().await;
        let is_unchanged = Compare::mod_revision(key, CompareOp::Equal, revision);
        let txn = Txn::new().when([is_unchanged]).and_then([operation]);
        let answer = in_time(kv.txn(txn)).await?;
        let revision = answer.header().map_or(0, |header| header.revision());
        Ok(answer.succeeded().then_some(revision))
    }

    /// Compacts to `target`, unless it is 0 or already compacted. Returns the current revision.
    pub async fn compact(&self, target: i64) -> Result<i64, EtcdError> {
        let mut kv = self.kv().await;
        let answer = kv.get("/registry/health", None).await?;
        if target > 0 {
            match kv.compact(target, None).await {
                Err(EtcdError::GRpcStatus(status)) if status.message().contains("compacted") => {}
                compacted => {
                    compacted?;
                }
            }
        }
        Ok(answer.header().map_or(0, |header| header.revision()))
    }
}

async fn open(
    servers: &[String],
    ca: Certificate,
    identity: Identity,
) -> Result<Client, EtcdError> {
    let options = ConnectOptions::new()
        .with_connect_timeout(Duration::from_secs(2))
        .with_keep_alive(Duration::from_secs(10), Duration::from_secs(5))
        .with_keep_alive_while_idle(true)
        .with_tls(TlsOptions::new().ca_certificate(ca).identity(identity));
    Client::connect(servers, Some(options)).await
}

async fn in_time<T>(call: impl Future<Output = Result<T, EtcdError>>) -> Result<T, ApiError> {
    match tokio::time::timeout(TIMEOUT, call).await {
        Ok(answer) => Ok(answer?),
        // A write may or may not have been applied.
        Err(_) => Err(ApiError::timeout("etcd did not respond")),
    }
}

fn objects(answer: &GetResponse) -> Result<Vec<Value>, ApiError> {
    answer.kvs().iter().map(decode).collect()
}

fn decode(kv: &KeyValue) -> Result<Value, ApiError> {
    let object = serde_json::from_slice(kv.value());
    let mut object: Value = object.map_err(ApiError::internal)?;
    set_version(&mut object, kv.mod_revision());
    Ok(object)
}

fn set_version(object: &mut Value, revision: i64) {
    object["metadata"]["resourceVersion"] = revision.to_string().into();
}

/// The revision of an object's last change, from `metadata.resourceVersion`.
pub fn revision(object: &Value) -> i64 {
    let version = object["metadata"]["resourceVersion"].as_str();
    version.and_then(|text| text.parse().ok()).unwrap_or(0)
}
