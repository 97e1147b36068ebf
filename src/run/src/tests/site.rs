//! An operator's host and the world that it manages. Commands run in one process after another.

use super::world::{Crash, EtcdCluster, Fault, Process, WatchedStore, World};
use crate::connect::{Backend, Clients, Connect, Purpose};
use crate::{
    Doomed, NewAddress, RenewRequest, ReplaceRequest, ReplicateRequest, RestoreRequest,
    RotateUntil, SaveRequest, Session, Stored, UpgradeRequest, abandon, adopt, certificates, down,
    list_backups, reconcile, remove_replica, renew, repair, replace, replicate, restore, rotate_ca,
    save, status, up, upgrade,
};
use async_trait::async_trait;
use futures::TryStreamExt as _;
use futures::executor::block_on;
use hakube_error::{Error, Result};
use hakube_model::Lifetimes;
use hakube_model::Programs;
use hakube_model::{ClusterSpec, Phase, RemovalRequest};
use hakube_output::{CertificateList, Event, Reporter, Status};
use hakube_pki::{Authorities, AuthorityDocuments};
use hakube_settings::{Resolved, Settings, Sources, resolve};
use hakube_state::Clock;
use hakube_state::{StateError, Store};
use hakube_testing::fixtures;
use jiff::SignedDuration;
use object_store::memory::InMemory;
use object_store::{ObjectStore as _, ObjectStoreExt as _};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// How often a condition is polled.
const PACE: Duration = Duration::from_millis(500);
/// A command that takes longer waits for something that never happens.
const PATIENCE: Duration = Duration::from_secs(6 * 3600);

/// An operator's command.
#[derive(Debug, Clone)]
pub enum Command {
    Up,
    Replicate(ReplicateRequest),
    Remove(RemovalRequest),
    Replace(String),
    Repair,
    /// `repair --yes`.
    RepairWithNewAddress,
    Renew(RenewRequest),
    Rotate(RotateUntil),
    /// `upgrade` to the versions in the environment.
    Upgrade,
    /// `upgrade` that ignores these findings.
    UpgradeIgnoring(Vec<String>),
    Down,
    Reconcile,
    Abandon,
    Adopt,
    /// `backup save`.
    Save,
    /// `restore latest`.
    Restore {
        force: bool,
    },
    /// `restore` of the first backup.
    RestoreFirst,
    /// `restore latest`, and another answer than the cluster's name.
    RestoreDeclined,
}

impl Command {
    async fn run(&self, session: &Session) -> Result<()> {
        match self {
            Self::Up => up(session).await,
            Self::Replicate(request) => replicate(session, request).await,
            Self::Remove(request) => remove_replica(session, request).await,
            Self::Replace(name) => {
                let name = name.clone();
                replace(session, &ReplaceRequest { name, force: false }).await
            }
            Self::Repair => repair(session, NewAddress::Refused).await,
            Self::RepairWithNewAddress => repair(session, NewAddress::Agreed).await,
            Self::Renew(request) => renew(session, request).await,
            Self::Rotate(until) => rotate_ca(session, *until).await,
            Self::Upgrade => upgrade(session, UpgradeRequest::default()).await,
            Self::UpgradeIgnoring(names) => {
                let ignored = names.clone();
                let request = UpgradeRequest {
                    ignored,
                    ..UpgradeRequest::default()
                };
                upgrade(session, request).await
            }
            Self::Down => down(session, &Doomed::Stored).await,
            Self::Reconcile => reconcile(session).await,
            Self::Abandon => abandon(session).await,
            Self::Adopt => adopt(session, || Ok(())).await,
            Self::Save => save(session, &SaveRequest::default()).await,
            Self::Restore { force } => {
                restore(session, &backup("latest", *force), |_| Ok(())).await
            }
            Self::RestoreFirst => {
                let first = list_backups(session).await?.backups.swap_remove(0).name;
                restore(session, &backup(&first, false), |_| Ok(())).await
            }
            Self::RestoreDeclined => {
                let declined = |_: &str| Err(Error::refused("the name didn't match"));
                restore(session, &backup("latest", true), declined).await
            }
        }
    }
}

fn backup(name: &str, force: bool) -> RestoreRequest {
    RestoreRequest {
        backup: name.to_owned(),
        force,
        without: BTreeSet::new(),
    }
}

/// The crashes and faults of a process.
#[derive(Debug, Clone, Default)]
pub struct Fate {
    pub crash: Option<Crash>,
    pub faults: BTreeMap<usize, Fault>,
    pub dry_run: bool,
}

/// The end of a process.
pub struct End {
    /// `None` if it was killed.
    pub result: Option<Result<()>>,
    pub calls: Vec<String>,
    /// Its output.
    pub events: Vec<Event>,
}

/// A world, and the operator's state and kubeconfig.
pub struct Site {
    pub world: World,
    /// How far the operator's host's clock is ahead.
    pub clock_ahead: SignedDuration,
    objects: Arc<InMemory>,
    home: TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Site {
    /// An empty world. The variables are the operator's environment.
    pub fn new(variables: &[(&'static str, &str)]) -> Self {
        Self {
            world: World::default(),
            clock_ahead: SignedDuration::ZERO,
            objects: Arc::new(InMemory::new()),
            home: TempDir::new().unwrap(),
            variables: variables
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect(),
        }
    }

    /// A copy.
    pub fn fork(&self) -> Self {
        let home = TempDir::new().unwrap();
        if self.kubeconfig().exists() {
            std::fs::copy(self.kubeconfig(), home.path().join("kubeconfig")).unwrap();
        }
        copy(
            &self.home.path().join("backups"),
            &home.path().join("backups"),
        );
        Self {
            world: self.world.clone(),
            clock_ahead: self.clock_ahead,
            objects: Arc::new(self.objects.fork()),
            home,
            variables: self.variables.clone(),
        }
    }

    /// Adds a variable to the environment.
    pub fn set(&mut self, name: &'static str, value: &str) {
        self.variables.push((name, value.to_owned()));
    }

    fn kubeconfig(&self) -> PathBuf {
        self.home.path().join("kubeconfig")
    }

    /// Runs a command without faults. It must succeed.
    pub fn does(&mut self, command: &Command) {
        let end = self.run(command, Fate::default());
        if let Some(Err(error)) = end.result {
            panic!("{command:?}: {error}\n{:#?}", self.world);
        }
    }

    /// The output of `hakube status`.
    pub fn status(&self) -> Status {
        self.looks(async |session| status(&session).await)
    }

    /// The output of `hakube certs`.
    pub fn certificates(&self) -> CertificateList {
        self.looks(async |session| certificates(&session).await)
    }

    fn looks<T>(&self, look: impl AsyncFnOnce(Session) -> Result<T>) -> T {
        let mut world = self.world.clone();
        world.ahead = self.clock_ahead;
        let world = Arc::new(Mutex::new(world));
        process().block_on(async {
            let process = Arc::new(Process::new(world, None, BTreeMap::new()));
            let session = self.session(&process, &Arc::new(Recorder::default()), false);
            look(session)
                .await
                .unwrap_or_else(|error| panic!("{error}\n{:#?}", self.world))
        })
    }

    /// Runs a command in its own process.
    pub fn run(&mut self, command: &Command, fate: Fate) -> End {
        self.set_the_stage(command);
        self.world.ahead = self.clock_ahead;
        let world = Arc::new(Mutex::new(self.world.clone()));
        let runtime = process();
        let events = Arc::new(Recorder::default());
        let (result, calls) = runtime.block_on(async {
            let Fate {
                crash,
                faults,
                dry_run,
            } = fate;
            let process = Arc::new(Process::new(Arc::clone(&world), crash, faults));
            let session = self.session(&process, &events, dry_run);
            let result = tokio::select! {
                biased;
                () = process.dies() => None,
                result = tokio::time::timeout(PATIENCE, command.run(&session)) => Some(
                    result.unwrap_or_else(|_| Err(Error::failed(format!("{command:?} timed out")))),
                ),
            };
            (result, process.log())
        });
        drop(runtime);
        self.world = world.lock().unwrap().clone();
        if result.is_none() {
            self.expire_lock();
        }
        let events = events.0.lock().unwrap().clone();
        End {
            result,
            calls,
            events,
        }
    }

    /// Prepares the world's checks for the command.
    fn set_the_stage(&mut self, command: &Command) {
        let Ok(stored) = self.read_stored() else {
            return;
        };
        let begun = stored
            .as_ref()
            .is_some_and(|stored| stored.intent.phase == Phase::Absent);
        let restores = |stored: &Stored| stored.intent.restoring.is_some();
        let is_restore = matches!(command, Command::Restore { .. } | Command::RestoreFirst);
        self.world.restoring = is_restore || stored.as_ref().is_some_and(restores);
        self.world.tearing_down = begun || matches!(command, Command::Down);
        if stored.is_none() && self.world.cloud.disks.is_empty() {
            // Without a cluster and its data, a new cluster may start from scratch.
            self.world.etcd = EtcdCluster::default();
            self.world.addons.clear();
        }
    }

    fn session(&self, process: &Arc<Process>, events: &Arc<Recorder>, dry_run: bool) -> Session {
        let clock = Clock::ahead(self.clock_ahead);
        let objects = WatchedStore::new(Arc::clone(process), Arc::clone(&self.objects));
        Session {
            resolved: self.resolved(),
            store: Store::over(Arc::new(objects), clock),
            clock,
            reporter: Arc::clone(events) as Arc<dyn Reporter>,
            stop: CancellationToken::new(),
            dry_run,
            connect: Arc::new(Connected(Arc::clone(process))),
            path: String::new(),
            started: std::time::Instant::now(),
        }
    }

    fn resolved(&self) -> Resolved {
        let home = self.home.path().to_string_lossy().into_owned();
        let base = [
            ("KUBERNETES_PROVIDER", "gce".to_owned()),
            ("PROJECT", "demo-project".to_owned()),
            ("KUBE_GCE_ZONE", "europe-west1-b".to_owned()),
            ("NUM_NODES", "0".to_owned()),
            ("HAKUBE_LIBVIRT_ZONES", fixtures::HOSTS.to_owned()),
            ("HAKUBE_HOME", home.clone()),
            ("KUBECONFIG", format!("{home}/kubeconfig")),
            ("HAKUBE_SSH_SOURCE", "none".to_owned()),
            // Any executable will do, since nothing runs it.
            ("HAKUBE_ETCD_BINARY", "/bin/sh".to_owned()),
        ];
        let env = base
            .iter()
            .chain(&self.variables)
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        let sources = Sources {
            env: env.collect(),
            working_dir: home.into(),
            ..Sources::default()
        };
        resolve(&sources).unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// The cluster's stored document.
    pub fn stored(&self) -> Option<Stored> {
        self.read_stored().unwrap()
    }

    fn read_stored(&self) -> Result<Option<Stored>, StateError> {
        let store = self.store();
        block_on(store.read(&self.resolved().settings.cluster))
    }

    /// Loses the stored intent only.
    pub fn lose_intent(&mut self) {
        block_on(self.objects.delete(&self.intent_object())).unwrap();
    }

    /// Loses the operator's state, and the lock.
    pub fn lose_state(&mut self) {
        self.objects = Arc::new(InMemory::new());
    }

    /// The intent's document, as stored.
    pub fn document(&self) -> Vec<u8> {
        let get = async { self.objects.get(&self.intent_object()).await?.bytes().await };
        block_on(get).unwrap().to_vec()
    }

    /// Replaces the intent's document.
    pub fn put_back(&self, document: Vec<u8>) {
        block_on(self.objects.put(&self.intent_object(), document.into())).unwrap();
    }

    fn intent_object(&self) -> object_store::path::Path {
        format!("{}/intent.json", self.resolved().settings.cluster).into()
    }

    /// The stored authorities.
    pub fn authorities(&self) -> Authorities {
        let store = self.store();
        let documents: Option<AuthorityDocuments> =
            block_on(store.read(&self.resolved().settings.cluster)).unwrap();
        Authorities::from_documents(&documents.unwrap()).unwrap()
    }

    /// The names of the stored objects, except the lock's and tombstones, which keep a deleted document's generation.
    pub fn objects(&self) -> Vec<String> {
        let all: Vec<_> = block_on(self.objects.list(None).try_collect()).unwrap();
        let names = all.into_iter().map(|object| object.location);
        names
            .filter(|name| {
                !name.as_ref().contains("/lock/") && self.content(name)["absent"] != true
            })
            .map(|name| name.to_string())
            .collect()
    }

    fn content(&self, name: &object_store::path::Path) -> serde_json::Value {
        let content = block_on(async { self.objects.get(name).await?.bytes().await }).unwrap();
        serde_json::from_slice(&content).unwrap()
    }

    fn store(&self) -> Store {
        let objects = Arc::clone(&self.objects) as Arc<dyn object_store::ObjectStore>;
        Store::over(objects, Clock::default())
    }

    /// Expires a killed process's lock. Normally its pid shows that it is dead, but here the pid is the test's own.
    fn expire_lock(&self) {
        let all: Vec<_> = block_on(self.objects.list(None).try_collect()).unwrap();
        for object in all
            .into_iter()
            .filter(|object| object.location.as_ref().contains("/lock/"))
        {
            let mut record = self.content(&object.location);
            record["expires"] = "2001-01-01T00:00:00Z".into();
            let content = serde_json::to_vec(&record).unwrap();
            block_on(self.objects.put(&object.location, content.into())).unwrap();
        }
    }
}

/// The runtime of a process. Time passes while all its tasks wait.
fn process() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

/// A process's connections to the world.
struct Connected(Arc<Process>);

#[async_trait]
impl Connect for Connected {
    async fn backend(
        &self,
        _: &Settings,
        _: &ClusterSpec,
        _: &Authorities,
        _: Purpose,
    ) -> Result<Backend> {
        let process = &self.0;
        Ok(Backend {
            provider: Arc::clone(process) as _,
            channel: Arc::clone(process) as _,
            login: None,
            local_cloud: None,
            shared_loopback: false,
            pace: PACE,
        })
    }

    async fn programs(&self, _: &Settings, _: &str, _: &dyn Reporter) -> Result<Programs> {
        Ok(fixtures::programs())
    }

    fn clients(&self, _: &Authorities, _: Lifetimes) -> Result<Clients> {
        Ok(Clients {
            etcd: Arc::clone(&self.0) as _,
            kubernetes: Arc::clone(&self.0) as _,
        })
    }
}

/// Records events.
#[derive(Default)]
struct Recorder(Mutex<Vec<Event>>);

impl Reporter for Recorder {
    fn event(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

/// Copies a directory, if it exists.
fn copy(from: &Path, to: &Path) {
    let Ok(entries) = std::fs::read_dir(from) else {
        return;
    };
    std::fs::create_dir_all(to).unwrap();
    for entry in entries {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
