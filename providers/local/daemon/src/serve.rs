//! The daemon: startup, service, shutdown.

use std::ffi::OsString;
use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use hakube_local_client::home::{self, DaemonFile, Home, HomeError};
use hakube_local_compute::{Cloud, Guests, LoadError, Store};
use hakube_local_machine::{Processes, Runtime};
use hakube_local_net::{Doors, Limits, Wires};
use hakube_local_resources::rules::managed::put_new;
use hakube_local_resources::rules::{firewall, project};
use hakube_local_resources::types::instance::Status;
use hakube_local_resources::types::{Firewall, Network};
use hakube_local_resources::{Block, Key, OCTETS, PORT, Phase, Resource as _, Scope, State, now};
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exchanges::Exchanges;
use crate::identity::Identity;
use crate::{http, metadata, server};

/// The daemon's configuration.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// The home directory.
    pub home: PathBuf,
    /// The ID of the project that machines are in. A home keeps its first project.
    pub project: String,
    /// The IDs of other projects, which have only networks, subnetworks and firewall rules. A home keeps
    /// them, too.
    pub network_projects: Vec<String>,
    /// The factor for Compute Engine's durations: 0 is immediate, 1 is realistic.
    pub time_scale: f64,
    /// What machines are.
    pub machines: Machines,
    /// The address to serve on, instead of port 8780 of the cloud's own address. Loopback only.
    pub listen: Option<SocketAddr>,
    /// A directory in which every exchange of the Compute Engine API is recorded.
    pub exchanges: Option<PathBuf>,
}

/// What machines are.
#[derive(Debug, Clone)]
pub enum Machines {
    /// Processes of this host.
    Processes {
        /// The argv of a process that runs a machine's init; the machine's directory is appended.
        init_command: Vec<OsString>,
    },
    /// Hosts of their own. The daemon runs in their network.
    Hosts {
        /// What runs them.
        runtime: Arc<dyn Runtime>,
        /// Their network.
        wires: Arc<dyn Wires>,
    },
}

/// The reason that a daemon could not start, or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Another daemon uses this home.
    #[error("a local cloud is already running in {}{}", home.display(), pid.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Running {
        /// The home.
        home: PathBuf,
        /// The other daemon's process ID.
        pid: Option<u32>,
    },
    /// The API runs programs for its callers, so it isn't served to a network.
    #[error("the local cloud listens on loopback addresses only, not on {0}")]
    NotLoopback(SocketAddr),
    /// The time scale is invalid.
    #[error("the time scale must be a number of at least 0, not {0}")]
    TimeScale(f64),
    /// This home belongs to another project.
    #[error(
        "the local cloud in {} has the project {found}, not {wanted}; use that, or another home",
        home.display()
    )]
    Project {
        /// The home.
        home: PathBuf,
        /// Its project.
        found: String,
        /// The requested project.
        wanted: String,
    },
    /// The machines of this home are of another kind.
    #[error(
        "the machines of the local cloud in {} are of the kind `{found}`, and their addresses fit no other:          use --machines {found}, or another home",
        home.display()
    )]
    OtherMachines {
        /// The home.
        home: PathBuf,
        /// Its machines.
        found: &'static str,
    },
    /// Another program uses the cloud's own address.
    #[error(
        "the local cloud in {} has the addresses 127.{octet}.0.0/16, and {address} is in use: {source}. \
         Its resources use these addresses, so it can't move. Find the program that listens there with \
         `ss -ltnp 'src {}'` and stop it, or delete the directory to start with an empty cloud",
        home.display(),
        address.ip()
    )]
    AddressTaken {
        /// The home.
        home: PathBuf,
        /// The second octet of its block.
        octet: u8,
        /// The address.
        address: SocketAddr,
        /// The operating system's error.
        source: io::Error,
    },
    /// No address could be bound.
    #[error("can't listen on {address}: {source}")]
    Listen {
        /// The last address that was tried.
        address: SocketAddr,
        /// The operating system's error.
        source: io::Error,
    },
    /// A file of the home directory can't be read or written.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The state can't be loaded.
    #[error(transparent)]
    State(#[from] LoadError),
    /// A new cloud's state can't be created.
    #[error("can't create a new cloud: {0}")]
    New(String),
    /// Signal handlers or the server failed.
    #[error("the local cloud's server: {0}")]
    Io(#[from] io::Error),
}

/// How long requests in progress may continue after the cloud was told to stop.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Runs a cloud until it is told to stop, by SIGTERM or SIGINT or over its admin API.
///
/// It is ready when `daemon.json` exists. On return its machines are shut down, and those that were running
/// boot again at the next start. After a SIGKILL they keep running, and the next call finds them.
pub async fn serve(config: ServeConfig) -> Result<(), ServeError> {
    check(&config)?;
    let limits = Limits::of_process();
    let home = Home::at(&config.home);
    home.create()?;
    let Some(_lock) = home.lock()? else {
        return Err(ServeError::Running {
            pid: home.daemon()?.map(|daemon| daemon.pid),
            home: config.home,
        });
    };
    let identity = Identity {
        id: home.id()?,
        token: home.token()?,
    };
    let known = hakube_local_compute::load(&home.state_file())?;
    if let Some(state) = known
        .as_ref()
        .filter(|state| state.project != config.project)
    {
        return Err(ServeError::Project {
            found: state.project.clone(),
            wanted: config.project,
            home: config.home,
        });
    }
    let known_block = known.as_ref().map(|state| state.block);
    if let Some(block) = known_block.filter(|block| block.hosts != config.is_of_hosts()) {
        return Err(ServeError::OtherMachines {
            home: config.home,
            found: if block.hosts { "host" } else { "process" },
        });
    }
    let (block, claim) = claim(&config, known_block).await?;
    let address = claim.listener.local_addr()?;
    let mut state = known.unwrap_or_else(|| State::new(&config.project, block));
    let url = home::url(address);
    state.base.clone_from(&url);
    project::put(&mut state, None);
    for other in &config.network_projects {
        if *other != state.project {
            project::put(&mut state, Some(other));
        }
    }
    add_default_network(&mut state)?;

    let stop = CancellationToken::new();
    let store = Store::new(state, home.state_file());
    store.save().await;
    let (runtime, wires): (Arc<dyn Runtime>, _) = match config.machines {
        Machines::Processes { init_command } => (
            Arc::new(Processes::new(home.machines(), init_command)),
            None,
        ),
        Machines::Hosts { runtime, wires } => (runtime, Some(wires)),
    };
    let cloud = Cloud::new(
        store,
        Guests::new(runtime),
        wires,
        url.clone(),
        config.time_scale,
        limits,
        stop,
    );
    let following = cloud.clone();
    cloud.spawn(async move { following.follow_health().await });
    let saving = tokio::spawn({
        let cloud = cloud.clone();
        async move {
            loop {
                let saving = cloud.clone();
                let saved = tokio::spawn(async move { saving.store().save_forever().await });
                let Err(error) = saved.await else { return };
                if error.is_cancelled() {
                    return;
                }
                // Without it, no change would ever get a response.
                tracing::error!(%error, "the task that saves the state failed and is restarted");
            }
        }
    });
    take_over(&cloud).await;

    let told = tokio::spawn(metadata::serve(
        cloud.clone(),
        claim.metadata,
        Doors::new(limits.metadata, limits.metadata).door(),
    ));
    let exchanges = config.exchanges.as_deref().map(Exchanges::record_in);
    let guard = server::Guard::new(identity.token.clone(), address);
    let app = server::app(cloud.clone(), guard, identity, exchanges.transpose()?);
    let door = Doors::new(limits.api, limits.api).door();
    let serving = tokio::spawn(http::serve(claim.listener, app, door, cloud.stopping()));
    home.write_daemon(&DaemonFile {
        pid: std::process::id(),
        url: url.clone(),
        project: config.project,
        started: now(),
    })?;
    tracing::info!(%url, "serving");

    until_told(&cloud).await?;
    tracing::info!("stopping");
    cloud.stop();
    shut_down(&cloud).await;
    saving.abort();
    cloud.store().save().await;
    let mut serving = serving;
    if tokio::time::timeout(LAST_ANSWERS, &mut serving)
        .await
        .is_err()
    {
        serving.abort();
    }
    told.abort();
    home.remove_daemon()?;
    Ok(())
}

impl ServeConfig {
    fn is_of_hosts(&self) -> bool {
        matches!(self.machines, Machines::Hosts { .. })
    }
}

fn check(config: &ServeConfig) -> Result<(), ServeError> {
    if let Some(listen) = config.listen.filter(|listen| !listen.ip().is_loopback()) {
        return Err(ServeError::NotLoopback(listen));
    }
    if !(config.time_scale.is_finite() && config.time_scale >= 0.0) {
        return Err(ServeError::TimeScale(config.time_scale));
    }
    Ok(())
}

/// The sockets that reserve a block for this daemon.
struct Claim {
    /// The API's listener.
    listener: TcpListener,
    /// The metadata server's listener.
    metadata: TcpListener,
    /// Reserves the block if the API is served elsewhere.
    _held: Option<TcpSocket>,
}

/// Binds the API's port of the known block, or of a free one.
async fn claim(config: &ServeConfig, known: Option<Block>) -> Result<(Block, Claim), ServeError> {
    if let Some(block) = known {
        return match bind(config, block).await {
            Ok(claim) => Ok((block, claim)),
            Err((address, source)) => Err(ServeError::AddressTaken {
                home: config.home.clone(),
                octet: block.octet,
                address,
                source,
            }),
        };
    }
    let first = rand::random_range(OCTETS);
    let mut octets = (first..=*OCTETS.end()).chain(*OCTETS.start()..first);
    loop {
        let block = Block::new(octets.next().unwrap_or(first)).of_hosts(config.is_of_hosts());
        match bind(config, block).await {
            Ok(claim) => return Ok((block, claim)),
            Err((address, source)) => {
                let own = [block.api(), *block.metadata().ip()]
                    .map(Into::into)
                    .contains(&address.ip());
                let next =
                    own && source.kind() == io::ErrorKind::AddrInUse && octets.size_hint().0 > 0;
                if !next {
                    return Err(ServeError::Listen { address, source });
                }
            }
        }
    }
}

async fn bind(config: &ServeConfig, block: Block) -> Result<Claim, (SocketAddr, io::Error)> {
    let own = SocketAddr::V4(SocketAddrV4::new(block.api(), PORT));
    let metadata = SocketAddr::V4(block.metadata());
    let bind = async |address| {
        let bound = TcpListener::bind(address).await;
        bound.map_err(|error| (address, error))
    };
    let Some(listen) = config.listen.filter(|listen| *listen != own) else {
        return Ok(Claim {
            listener: bind(own).await?,
            metadata: bind(metadata).await?,
            _held: None,
        });
    };
    let held = TcpSocket::new_v4()
        .and_then(|socket| socket.bind(own).map(|()| socket))
        .map_err(|error| (own, error))?;
    Ok(Claim {
        listener: bind(listen).await?,
        metadata: bind(metadata).await?,
        _held: Some(held),
    })
}

/// Creates the `default` network, with the rules that Compute Engine gives it.
fn add_default_network(state: &mut State) -> Result<(), ServeError> {
    let is_new = state.networks.is_empty() && state.operations.is_empty();
    if !is_new {
        return Ok(());
    }
    let key = Key::new(Scope::Global, "default");
    let network = serde_json::json!({
        "name": "default",
        "description": "Default network for the project",
        "autoCreateSubnetworks": true,
    });
    let network: Network =
        serde_json::from_value(network).map_err(|error| ServeError::New(error.to_string()))?;
    put_new(state, &key, network).map_err(|error| ServeError::New(error.to_string()))?;
    state.table_mut(Network::TYPE).set_phase(&key, Phase::Ready);
    for rule in firewall::of_default_network(state.block.range()) {
        let key = Key::new(Scope::Global, rule.meta().name.as_str());
        put_new(state, &key, rule).map_err(|error| ServeError::New(error.to_string()))?;
        state
            .table_mut(Firewall::TYPE)
            .set_phase(&key, Phase::Ready);
    }
    Ok(())
}

/// Checks which machines still run, and resumes the previous daemon's operations.
async fn take_over(cloud: &Cloud) {
    let (due, others): (Vec<Key>, Vec<Key>) = cloud.store().read(|state| {
        let running = state
            .instances
            .iter()
            .filter(|(_, i)| i.status == Status::Running);
        running
            .map(|(key, _)| key.clone())
            .partition(|key| state.due_boots.contains(key))
    });
    join_all(due.iter().map(|key| cloud.boot_or_terminate(key))).await;
    for key in others {
        if cloud.guest(&key).is_running().await {
            cloud.watch(&key);
        } else {
            let why = "The machine was not running when the local cloud started.";
            cloud.terminated(&key, why).await;
        }
    }
    cloud.reconcile().await;
    hakube_local_compute::carry_on(cloud);
}

async fn until_told(cloud: &Cloud) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = cloud.stopped() => {}
    }
    Ok(())
}

/// Shuts all machines down, and records which of them to boot at the next start.
async fn shut_down(cloud: &Cloud) {
    cloud.wind_down().await;
    let all: Vec<Key> = cloud.store().update(|state| {
        let running: Vec<Key> = state
            .instances
            .iter()
            .filter(|(_, instance)| instance.status == Status::Running)
            .map(|(key, _)| key.clone())
            .collect();
        state.due_boots.extend(running);
        state.instances.iter().map(|(key, _)| key.clone()).collect()
    });
    let downs = all.iter().map(|key| cloud.guests().shut_down(key));
    for (key, down) in all.iter().zip(join_all(downs).await) {
        if let Err(error) = down {
            tracing::error!(instance = %key, %error, "can't shut a machine down");
        }
    }
}
