//! An operator's machine and the world that it acts on: commands run there, one process after another.

use super::world::{Crash, EtcdCluster, Fault, Process, WatchedStore, World};
use crate::clock::Clock;
use crate::cluster::{ClusterSpec, Phase, RemovalRequest, fixtures};
use crate::error::{Error, Result};
use crate::machine::Programs;
use crate::output::{CertificateList, Event, Reporter, Status};
use crate::pki::{Authorities, Lifetimes};
use crate::run::backend::Backend;
use crate::run::connect::{Clients, Connect};
use crate::run::session::Purpose;
use crate::run::{
    RenewRequest, ReplaceRequest, ReplicateRequest, Session, Stored, abandon, certificates, down,
    reconcile, remove_replica, renew, repair, replace, replicate, status, up,
};
use crate::settings::{Resolved, Settings, Sources, resolve};
use crate::state::Store;
use async_trait::async_trait;
use futures::TryStreamExt as _;
use futures::executor::block_on;
use jiff::SignedDuration;
use object_store::memory::InMemory;
use object_store::{ObjectStore as _, ObjectStoreExt as _};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Between two looks at a condition.
const PACE: Duration = Duration::from_millis(500);
/// No command takes longer: one that does waits for what never comes.
const PATIENCE: Duration = Duration::from_secs(6 * 3600);

/// A command, as an operator gives it.
#[derive(Debug, Clone)]
pub enum Command {
    Up,
    Replicate(ReplicateRequest),
    Remove(RemovalRequest),
    Replace(String),
    Repair,
    Renew(RenewRequest),
    Down,
    Reconcile,
    Abandon,
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
            Self::Repair => repair(session).await,
            Self::Renew(request) => renew(session, request).await,
            Self::Down => down(session).await,
            Self::Reconcile => reconcile(session).await,
            Self::Abandon => abandon(session).await,
        }
    }
}

/// What befalls a process.
#[derive(Debug, Clone, Default)]
pub struct Fate {
    pub crash: Option<Crash>,
    pub faults: BTreeMap<usize, Fault>,
    pub dry_run: bool,
}

/// How a process ended.
pub struct End {
    /// `None`: it was killed.
    pub result: Option<Result<()>>,
    /// What it called.
    pub calls: Vec<String>,
    /// What it said.
    pub events: Vec<Event>,
}

/// A world and what an operator has of it: the state, and a kubeconfig.
pub struct Site {
    pub world: World,
    /// How far the clock of the operator's host is ahead.
    pub clock_ahead: SignedDuration,
    objects: Arc<InMemory>,
    home: TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Site {
    /// Nothing is there yet. The variables are the operator's environment.
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

    /// Another with the same past.
    pub fn fork(&self) -> Self {
        let home = TempDir::new().unwrap();
        if self.kubeconfig().exists() {
            std::fs::copy(self.kubeconfig(), home.path().join("kubeconfig")).unwrap();
        }
        Self {
            world: self.world.clone(),
            clock_ahead: self.clock_ahead,
            objects: Arc::new(self.objects.fork()),
            home,
            variables: self.variables.clone(),
        }
    }

    /// The operator has one more variable.
    pub fn set(&mut self, name: &'static str, value: &str) {
        self.variables.push((name, value.to_owned()));
    }

    fn kubeconfig(&self) -> PathBuf {
        self.home.path().join("kubeconfig")
    }

    /// Runs a command that nothing happens to.
    pub fn does(&mut self, command: &Command) {
        let end = self.run(command, Fate::default());
        if let Some(Err(error)) = end.result {
            panic!("{command:?}: {error}\n{:#?}", self.world);
        }
    }

    /// What `hakube status` tells.
    pub fn status(&self) -> Status {
        self.looks(async |session| status(&session).await)
    }

    /// What `hakube certs` lists.
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

    /// Runs a command in a process of its own.
    pub fn run(&mut self, command: &Command, fate: Fate) -> End {
        self.set_the_stage(command);
        self.world.ahead = self.clock_ahead;
        let world = Arc::new(Mutex::new(self.world.clone()));
        let runtime = process();
        let events = Arc::new(Recorder::default());
        let (result, calls) = runtime.block_on(async {
            let Fate { crash, faults, dry_run } = fate;
            let process = Arc::new(Process::new(Arc::clone(&world), crash, faults));
            let session = self.session(&process, &events, dry_run);
            let result = tokio::select! {
                biased;
                () = process.dies() => None,
                result = tokio::time::timeout(PATIENCE, command.run(&session)) => Some(
                    result.unwrap_or_else(|_| Err(Error::failed(format!("{command:?} never ends")))),
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

    /// What the world may expect of the command.
    fn set_the_stage(&mut self, command: &Command) {
        let stored = self.stored();
        let begun = stored
            .as_ref()
            .is_some_and(|stored| stored.intent.phase == Phase::Absent);
        self.world.tearing_down = begun || matches!(command, Command::Down);
        if stored.is_none() && self.world.cloud.disks.is_empty() {
            // No cluster, no data: whoever comes next owes nothing to whoever was here.
            self.world.etcd = EtcdCluster::default();
            self.world.addons.clear();
        }
    }

    fn session(&self, process: &Arc<Process>, events: &Arc<Recorder>, dry_run: bool) -> Session {
        let clock = Clock::ahead(self.clock_ahead);
        let objects = WatchedStore::new(Arc::clone(process), Arc::clone(&self.objects));
        Session {
            resolved: self.resolved(),
            store: Store::over(Arc::new(objects)).with_clock(clock),
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
            // Any program will do: nothing runs it.
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

    /// What is stored of the cluster.
    pub fn stored(&self) -> Option<Stored> {
        let store = Store::over(Arc::clone(&self.objects) as Arc<dyn object_store::ObjectStore>);
        block_on(store.read(&self.resolved().settings.cluster)).unwrap()
    }

    /// The names of the objects that are stored. The lock's aside, and of a document that is gone what
    /// keeps its generation.
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

    /// A killed process is known by its pid to hold its lock no more. In here it has ours, so its lock
    /// runs out instead.
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

/// What a process runs in: time passes when all it does is wait.
fn process() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

/// The way into the world for one process.
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

/// Keeps what it is told.
#[derive(Default)]
struct Recorder(Mutex<Vec<Event>>);

impl Reporter for Recorder {
    fn event(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}
