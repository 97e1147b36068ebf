//! Objects in etcd: JSON under `<prefix>/<resource>/[<namespace>/]<name>`, versioned by revision.
//!
//! All reads are linearizable, as the real API server's are since 1.13. Writes are transactions that
//! compare the revision first, so that two API servers in front of two members never lose an update.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use etcd_client::{
    Certificate, Client, CompactionOptions, Compare, CompareOp, ConnectOptions, Error as EtcdError,
    EventType, GetOptions, Identity, KeyValue, KvClient, TlsOptions, Txn, TxnOp, TxnOpResponse,
    WatchOptions, WatchStream,
};
use serde_json::Value;
use thiserror::Error;

use super::status::ApiError;
use crate::error::{Result, StartError};
use crate::flags::Flags;
use crate::tls;

/// How long etcd may take to answer; its own limit for a write is 7 s.
const TIMEOUT: Duration = Duration::from_secs(8);

/// What etcd may answer at once, in bytes: gRPC's default of 4 MB is less than a page of large objects.
/// kube-apiserver's limit.
const MAX_MESSAGE: usize = i32::MAX as usize;

/// An object as it is stored, with the revision of its last change. The object carries it too, as
/// `metadata.resourceVersion`.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its etcd key.
    pub key: String,
    /// The object.
    pub object: Value,
    /// etcd's mod revision.
    pub revision: i64,
}

/// One page of a list.
#[derive(Debug)]
pub struct Page {
    /// In key order.
    pub items: Vec<Stored>,
    /// The revision at which the list is consistent.
    pub revision: i64,
    /// Whether there is more after the last item.
    pub more: bool,
}

/// A change, as a watch sees it.
#[derive(Debug)]
pub struct Change {
    /// What was there before, if anything and not yet compacted.
    pub before: Option<Stored>,
    /// What is there now; `None` after a deletion.
    pub after: Option<Stored>,
    /// Revision of the change.
    pub revision: i64,
}

/// What a conditional write came to.
#[derive(Debug)]
pub enum Written {
    /// Done; the new revision.
    At(i64),
    /// Somebody else was faster.
    Lost,
}

/// etcd didn't do it.
#[derive(Debug, Error)]
pub enum StoreError {
    /// etcd's own words.
    #[error("etcd: {0}")]
    Etcd(#[from] EtcdError),
    /// No answer; a write may or may not have been applied.
    #[error("etcd did not answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// What is stored isn't an object.
    #[error("{key} does not hold JSON: {source}")]
    Decode {
        /// The key.
        key: String,
        /// What is wrong.
        source: serde_json::Error,
    },
}

impl StoreError {
    /// Whether the revision asked for has been compacted away.
    pub fn compacted(&self) -> bool {
        self.says("required revision has been compacted")
    }

    fn says(&self, words: &str) -> bool {
        matches!(self, Self::Etcd(EtcdError::GRpcStatus(status)) if status.message().contains(words))
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "storage");
        match &error {
            StoreError::Timeout(_) => Self::timeout(error.to_string()),
            _ if error.compacted() => {
                Self::expired("The resourceVersion for the provided list is too old.")
            }
            _ if error.says("future revision") => Self::timeout("Too large resource version"),
            _ => Self::internal(error),
        }
    }
}

/// How often it is looked whether the certificate that etcd knows this server by was renewed.
const LOOK: Duration = Duration::from_secs(1);

/// A connection to the replica's etcd. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    client: Arc<RwLock<Client>>,
    prefix: String,
}

/// How etcd is reached.
struct Connection {
    ca: Option<Vec<u8>>,
    has_identity: bool,
    servers: Vec<String>,
}

impl Connection {
    async fn open(&self, identity: Option<(Vec<u8>, Vec<u8>)>) -> Result<Client> {
        let mut tls = TlsOptions::new();
        if let Some(ca) = &self.ca {
            tls = tls.ca_certificate(Certificate::from_pem(ca));
        }
        if let Some((certificate, key)) = identity {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        let mut options = ConnectOptions::new()
            .with_connect_timeout(Duration::from_secs(2))
            .with_keep_alive(Duration::from_secs(10), Duration::from_secs(5))
            .with_keep_alive_while_idle(true);
        if self
            .servers
            .iter()
            .any(|server| server.starts_with("https://"))
        {
            options = options.with_tls(tls);
        }
        Client::connect(&self.servers, Some(options))
            .await
            .map_err(|error| StartError::Usage(format!("--etcd-servers: {error}")))
    }
}

/// Connects anew whenever the certificate was renewed. Watches go on over the connection that they have.
async fn follow(
    client: Arc<RwLock<Client>>,
    connection: Connection,
    files: [PathBuf; 2],
    mut seen: tls::Stamp,
) {
    loop {
        tokio::time::sleep(LOOK).await;
        let now = tls::stamp(&[&files[0], &files[1]]);
        if now == seen {
            continue;
        }
        let (Ok(certificate), Ok(key)) = (std::fs::read(&files[0]), std::fs::read(&files[1]))
        else {
            continue;
        };
        // One that doesn't fit its key is between two states: it is looked at again.
        match connection.open(Some((certificate, key))).await {
            Ok(renewed) => {
                *client.write().unwrap_or_else(PoisonError::into_inner) = renewed;
                seen = now;
                tracing::info!("connected to etcd with a renewed certificate");
            }
            Err(error) => tracing::warn!(%error, "goes on with the connection that it has"),
        }
    }
}

impl Store {
    /// Prepares the connection that the flags describe; etcd need not be there yet. It is made again when the
    /// certificate's files change.
    pub async fn connect(flags: &Flags) -> Result<Self> {
        let path = |flag: &str| flags.path(flag).unwrap_or_default();
        let files = [path("etcd-certfile"), path("etcd-keyfile")];
        let connection = Connection {
            ca: match flags.text("etcd-cafile") {
                Some(_) => Some(flags.read("etcd-cafile")?),
                None => None,
            },
            has_identity: flags.text("etcd-certfile").is_some(),
            servers: {
                flags.required("etcd-servers")?;
                flags
                    .list("etcd-servers")
                    .into_iter()
                    .map(str::to_owned)
                    .collect()
            },
        };
        let stamp = tls::stamp(&[&files[0], &files[1]]);
        let identity = match connection.has_identity {
            true => Some((flags.read("etcd-certfile")?, flags.read("etcd-keyfile")?)),
            false => None,
        };
        let client = connection.open(identity).await?;
        let client = Arc::new(RwLock::new(client));
        if connection.has_identity {
            tokio::spawn(follow(Arc::clone(&client), connection, files, stamp));
        }
        let prefix = flags
            .text("etcd-prefix")
            .unwrap_or("/registry")
            .trim_end_matches('/')
            .to_owned();
        Ok(Self { client, prefix })
    }

    fn client(&self) -> Client {
        self.client
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn kv(&self) -> KvClient {
        self.client()
            .kv_client()
            .max_decoding_message_size(MAX_MESSAGE)
    }

    /// The key of `parts` below the prefix.
    pub fn key(&self, parts: &[&str]) -> String {
        let mut key = self.prefix.clone();
        for part in parts {
            key.push('/');
            key.push_str(part);
        }
        key
    }

    /// A linearizable read that touches no object: whether this member can serve. A learner can't.
    pub async fn ping(&self, timeout: Duration) -> Result<(), StoreError> {
        let key = self.key(&["health"]);
        within(timeout, self.kv().get(key, None)).await.map(drop)
    }

    /// One object.
    pub async fn get(&self, key: &str) -> Result<Option<Stored>, StoreError> {
        let mut answer = within(TIMEOUT, self.kv().get(key, None)).await?;
        answer.take_kvs().first().map(decode).transpose()
    }

    /// The objects below `prefix` (which ends in a slash), from key `start`, at `revision` (0: now).
    pub async fn list(
        &self,
        prefix: &str,
        start: Option<&str>,
        limit: i64,
        revision: i64,
    ) -> Result<Page, StoreError> {
        let mut end = prefix.as_bytes().to_vec();
        // The key after every key with this prefix: '/' is followed by '0'.
        end.pop();
        end.push(b'/' + 1);
        let options = GetOptions::new()
            .with_range(end)
            .with_limit(limit)
            .with_revision(revision);
        let mut answer = within(
            TIMEOUT,
            self.client()
                .kv_client()
                .get(start.unwrap_or(prefix), Some(options)),
        )
        .await?;
        let now = answer.header().map_or(0, |header| header.revision());
        Ok(Page {
            more: answer.more(),
            items: answer
                .take_kvs()
                .iter()
                .map(decode)
                .collect::<Result<_, _>>()?,
            revision: if revision == 0 { now } else { revision },
        })
    }

    /// Stores an object that must not exist. `guard` is a key that must not have changed since its
    /// revision: the object's namespace.
    pub async fn create(
        &self,
        key: &str,
        object: &Value,
        guard: Option<(&str, i64)>,
    ) -> Result<Written, StoreError> {
        let mut conditions = vec![Compare::create_revision(key, CompareOp::Equal, 0)];
        conditions.extend(
            guard.map(|(key, revision)| Compare::mod_revision(key, CompareOp::Equal, revision)),
        );
        self.write(conditions, TxnOp::put(key, encode(object), None))
            .await
    }

    /// Replaces an object if it is still at `revision`.
    pub async fn replace(
        &self,
        key: &str,
        object: &Value,
        revision: i64,
    ) -> Result<Written, StoreError> {
        let unchanged = Compare::mod_revision(key, CompareOp::Equal, revision);
        self.write(vec![unchanged], TxnOp::put(key, encode(object), None))
            .await
    }

    /// Deletes an object if it is still at `revision`.
    pub async fn delete(&self, key: &str, revision: i64) -> Result<Written, StoreError> {
        let unchanged = Compare::mod_revision(key, CompareOp::Equal, revision);
        self.write(vec![unchanged], TxnOp::delete(key, None)).await
    }

    async fn write(
        &self,
        conditions: Vec<Compare>,
        operation: TxnOp,
    ) -> Result<Written, StoreError> {
        let txn = Txn::new().when(conditions).and_then([operation]);
        let answer = within(TIMEOUT, self.kv().txn(txn)).await?;
        let revision = answer.header().map_or(0, |header| header.revision());
        Ok(if answer.succeeded() {
            Written::At(revision)
        } else {
            Written::Lost
        })
    }

    /// Changes below `prefix` from `revision` on.
    pub async fn watch(&self, prefix: &str, revision: i64) -> Result<WatchStream, StoreError> {
        let options = WatchOptions::new()
            .with_prefix()
            .with_prev_key()
            .with_progress_notify()
            .with_start_revision(revision);
        within(
            TIMEOUT,
            self.client()
                .watch_client()
                .max_decoding_message_size(MAX_MESSAGE)
                .watch(prefix, Some(options)),
        )
        .await
    }

    /// One round of compaction among several API servers: whoever advances the shared counter from
    /// `turn` compacts to `target`. Returns the turn to wait for and the revision to compact to then.
    /// The protocol, and its key, are kube-apiserver's.
    pub async fn compact(&self, turn: i64, target: i64) -> Result<(i64, i64), StoreError> {
        const KEY: &str = "compact_rev_key";
        let txn = Txn::new()
            .when([Compare::version(KEY, CompareOp::Equal, turn)])
            .and_then([TxnOp::put(KEY, target.to_string(), None)])
            .or_else([TxnOp::get(KEY, None)]);
        let answer = within(TIMEOUT, self.kv().txn(txn)).await?;
        let now = answer.header().map_or(0, |header| header.revision());
        if !answer.succeeded() {
            let turn = answer
                .op_responses()
                .first()
                .and_then(|response| match response {
                    TxnOpResponse::Get(got) => got.kvs().first().map(KeyValue::version),
                    _ => None,
                });
            return Ok((turn.unwrap_or(0), now));
        }
        if target > 0 {
            let compaction = self
                .client()
                .kv_client()
                .compact(target, None::<CompactionOptions>)
                .await;
            match compaction.map_err(StoreError::from) {
                Err(error) if !error.compacted() => return Err(error),
                _ => tracing::debug!(revision = target, "compacted etcd"),
            }
        }
        Ok((turn + 1, now))
    }
}

async fn within<T>(
    timeout: Duration,
    call: impl Future<Output = Result<T, EtcdError>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(timeout, call).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(StoreError::Timeout(timeout)),
    }
}

/// The changes of one watch answer.
pub fn changes(events: &[etcd_client::Event]) -> Result<Vec<Change>, StoreError> {
    events
        .iter()
        .filter_map(|event| event.kv().map(|kv| (event, kv)))
        .map(|(event, kv)| {
            let before = event.prev_kv().map(decode).transpose()?;
            let after = (event.event_type() == EventType::Put)
                .then(|| decode(kv))
                .transpose()?;
            Ok(Change {
                before,
                after,
                revision: kv.mod_revision(),
            })
        })
        .collect()
}

fn decode(kv: &KeyValue) -> Result<Stored, StoreError> {
    let key = String::from_utf8_lossy(kv.key()).into_owned();
    let object = serde_json::from_slice(kv.value());
    let mut object: Value = object.map_err(|source| StoreError::Decode {
        key: key.clone(),
        source,
    })?;
    set_version(&mut object, kv.mod_revision());
    Ok(Stored {
        key,
        object,
        revision: kv.mod_revision(),
    })
}

/// Writes `metadata.resourceVersion`.
pub fn set_version(object: &mut Value, revision: i64) {
    object["metadata"]["resourceVersion"] = revision.to_string().into();
}

/// The stored form doesn't carry its own revision: etcd knows it better.
fn encode(object: &Value) -> Vec<u8> {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.shift_remove("resourceVersion");
    }
    object.to_string().into_bytes()
}
