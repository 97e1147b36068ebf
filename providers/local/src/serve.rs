//! The daemon: from an empty directory to a cloud that answers, and back.

use std::ffi::OsString;
use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

use futures::future::join_all;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cloud::Cloud;
use crate::compute::crud;
use crate::compute::instance::Status;
use crate::compute::network::Network;
use crate::compute::project;
use crate::compute::resource::{Resource as _, now};
use crate::compute::scope::{Key, Scope};
use crate::exchanges::Exchanges;
use crate::faults::{Connection, Resettable};
use crate::guests::Guests;
use crate::home::{self, DaemonFile, Home, HomeError};
use crate::store::addresses::{Block, OCTETS};
use crate::store::{self, LoadError, Phase, State, Store};
use crate::{metadata, operation, server};

/// What a daemon is told.
#[derive(Debug, Clone)]
pub struct ServeConfig {
    /// The directory that everything lives in.
    pub home: PathBuf,
    /// The id of the project that machines are in. A home keeps the project that it was made with.
    pub project: String,
    /// The ids of other projects, which have networks, subnetworks and firewall rules only. A home keeps them, too.
    pub network_projects: Vec<String>,
    /// What Compute Engine's times are multiplied with: 0 is at once, 1 is realistic.
    pub time_scale: f64,
    /// The argv of a process that runs a machine's init; the machine's directory is appended.
    pub init_command: Vec<OsString>,
    /// Where to serve, instead of port 8780 of an address of its own. Loopback only.
    pub listen: Option<SocketAddr>,
    /// A directory in which every exchange of the Compute Engine API is written down.
    pub exchanges: Option<PathBuf>,
}

/// Why a daemon could not start, or did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Another daemon has this home.
    #[error("a local cloud runs already in {}{}", home.display(), pid.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Running {
        /// The home.
        home: PathBuf,
        /// The other daemon.
        pid: Option<u32>,
    },
    /// The API runs programs for whoever calls it: it isn't served to a network.
    #[error("the local cloud listens on loopback addresses only, not on {0}")]
    NotLoopback(SocketAddr),
    /// The time scale isn't one.
    #[error("the time scale must be a number from 0 up, not {0}")]
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
        /// The project that was asked for.
        wanted: String,
    },
    /// The cloud's own address is taken by another program.
    #[error(
        "the local cloud in {} has the addresses 127.{octet}.0.0/16, and {address} is taken: {source}. \
         Its resources have these addresses, so it can't move. See `ss -ltnp 'src {}'` for who \
         listens there, and stop that; or delete the directory to start with an empty cloud",
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
        /// The operating system's words.
        source: io::Error,
    },
    /// Nothing could be bound.
    #[error("can't listen on {address}: {source}")]
    Listen {
        /// The address that was tried last.
        address: SocketAddr,
        /// The operating system's words.
        source: io::Error,
    },
    /// A file of the home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The state.
    #[error(transparent)]
    State(#[from] LoadError),
    /// The state of a new cloud.
    #[error("can't make a new cloud: {0}")]
    New(String),
    /// Signals, or the server.
    #[error("the local cloud's server: {0}")]
    Io(#[from] io::Error),
}

const PORT: u16 = 8780;
/// How long requests that are being served may go on after the cloud was told to stop.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Runs a cloud until it is told to stop, by SIGTERM or SIGINT or over its admin API.
///
/// It serves as soon as `daemon.json` is there. On return its machines are shut down, and those
/// that ran boot again the next time. After a SIGKILL they run on, and the next call finds them.
pub async fn serve(config: ServeConfig) -> Result<(), ServeError> {
    check(&config)?;
    let home = Home::at(&config.home);
    home.create()?;
    let Some(_lock) = home.lock()? else {
        return Err(ServeError::Running {
            pid: home.daemon()?.map(|daemon| daemon.pid),
            home: config.home,
        });
    };
    let token = home.token()?;
    let known = store::load(&home.state_file())?;
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
    let (block, claim) = claim(&config, known.as_ref().map(|state| state.block)).await?;
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
    let guests = Guests::new(home.machines(), config.init_command);
    let cloud = Cloud::new(store, guests, url.clone(), config.time_scale, stop);
    let saving = tokio::spawn({
        let cloud = cloud.clone();
        async move { cloud.store().save_forever().await }
    });
    take_over(&cloud).await;

    let told = tokio::spawn(metadata::serve(cloud.clone(), claim.metadata));
    let exchanges = config.exchanges.as_deref().map(Exchanges::record_in);
    let guard = server::Guard::new(token, address);
    let app = server::app(cloud.clone(), guard, exchanges.transpose()?);
    let graceful = cloud.clone();
    let app = app.into_make_service_with_connect_info::<Connection>();
    let serving = axum::serve(Resettable(claim.listener), app)
        .with_graceful_shutdown(async move { graceful.stopped().await });
    let serving = tokio::spawn(async move { serving.await });
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

fn check(config: &ServeConfig) -> Result<(), ServeError> {
    if let Some(listen) = config.listen.filter(|listen| !listen.ip().is_loopback()) {
        return Err(ServeError::NotLoopback(listen));
    }
    if !(config.time_scale.is_finite() && config.time_scale >= 0.0) {
        return Err(ServeError::TimeScale(config.time_scale));
    }
    Ok(())
}

/// The sockets that make a block this daemon's.
struct Claim {
    /// Where the API is served.
    listener: TcpListener,
    /// Where machines ask for their metadata.
    metadata: TcpListener,
    /// Holds the block when the API is served elsewhere.
    _held: Option<TcpSocket>,
}

/// Binds the API's port of the known block, or of one that nobody has.
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
        let block = Block::new(octets.next().unwrap_or(first));
        match bind(config, block).await {
            Ok(claim) => return Ok((block, claim)),
            Err((address, source)) => {
                let own = [block.api(), block.metadata()]
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
    let metadata = SocketAddr::V4(metadata::address(block));
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

/// A project starts with one network.
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
    crud::put_new(state, &key, network).map_err(|error| ServeError::New(error.to_string()))?;
    state.table_mut(Network::TYPE).set_phase(&key, Phase::Ready);
    Ok(())
}

/// Finds out what became of machines since the last daemon, and goes on with its work.
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
            let why = "The machine was found dead when the local cloud started.";
            cloud.terminated(&key, why).await;
        }
    }
    cloud.reconcile().await;
    operation::carry_on(cloud);
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

/// Shuts all machines down, and remembers which of them are to run again.
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
            tracing::error!(instance = %key, %error, "machine not shut down");
        }
    }
}
