//! The guest agent, as far as ssh goes: a server for the users whom the instance's metadata names, with
//! a host key of the machine's own, which it publishes as a guest attribute.
//!
//! Source: Google's guest agent (github.com/GoogleCloudPlatform/guest-agent) and its documentation. The
//! metadata is read at boot and not followed afterwards.

use std::{
    collections::BTreeMap,
    fs, io,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use russh::{
    MethodKind, MethodSet,
    keys::{Algorithm, PrivateKey, PublicKey, key::safe_rng, ssh_key::LineEnding},
    server::{self, run_stream},
};
use tokio::{net::TcpListener, sync::mpsc, task::spawn_local};

use self::login::Login;
use super::{machine::Machine, units::Units};
use crate::machine::layout::write_atomically;

mod exec;
mod login;

/// Where images have their ssh server.
const PORT: u16 = 22;
const HOST_KEY: &str = "/etc/ssh/ssh_host_ed25519_key";
/// The namespace of guest attributes in which host keys are.
const HOST_KEYS: &str = "hostkeys";
/// After an accept fails for want of file descriptors, trying again at once would only burn time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The machine's users do without a password what they want: they are all this host's one.
const SUDO: &str = "#!/bin/sh\nwhile [ \"${1#-}\" != \"$1\" ]; do shift; done\nexec \"$@\"\n";

/// What logins share. They run on any thread, in principle; commands are carried out on this one.
struct Agent {
    users: Vec<User>,
    name: String,
    address: IpAddr,
    orders: mpsc::UnboundedSender<exec::Order>,
}

/// Who may log in.
struct User {
    name: String,
    key: PublicKey,
}

/// Serves for as long as the machine lives, if there is a user to serve.
pub async fn serve(units: Rc<Units>) {
    let machine = &units.machine;
    let users: Vec<User> = machine
        .spec
        .ssh_keys
        .iter()
        .filter_map(|line| user(line))
        .collect();
    if users.is_empty() {
        return;
    }
    let listener = match set_up(machine).await {
        Ok(listener) => listener,
        Err(error) => {
            let at = SocketAddr::new(machine.spec.address, PORT);
            machine
                .console
                .say(format!("ssh: nobody is served at {at}: {error}"));
            return;
        }
    };
    let (listener, config) = listener;
    let (orders, mut ordered) = mpsc::unbounded_channel();
    let agent = Arc::new(Agent {
        users,
        name: machine.spec.name.clone(),
        address: machine.spec.address,
        orders,
    });
    spawn_local(accept(listener, Arc::new(config), agent));
    while let Some(order) = ordered.recv().await {
        let units = units.clone();
        spawn_local(async move { exec::carry_out(&units, order).await });
    }
}

/// A line of the metadata item `ssh-keys`: `USER:KEY`.
fn user(line: &str) -> Option<User> {
    let (name, key) = line.trim().split_once(':')?;
    Some(User {
        name: name.to_owned(),
        key: PublicKey::from_openssh(key).ok()?,
    })
}

/// Listens first and publishes then: who reads the key finds the server.
async fn set_up(machine: &Machine) -> io::Result<(TcpListener, server::Config)> {
    let key = host_key(machine)?;
    let sudo = machine.root.locate("/usr/local/bin/sudo");
    write_atomically(&sudo, 0o755, SUDO.as_bytes())?;
    let listener = TcpListener::bind((machine.spec.address, PORT)).await?;
    if machine.spec.guest_attributes {
        publish(machine, key.public_key())?;
    }
    let config = server::Config {
        keys: vec![key],
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        // Whoever guesses is this host's own user.
        auth_rejection_time: Duration::ZERO,
        inactivity_timeout: None,
        nodelay: true,
        ..server::Config::default()
    };
    Ok((listener, config))
}

/// The machine's own host key, made at its first boot.
fn host_key(machine: &Machine) -> io::Result<PrivateKey> {
    let file = machine.root.locate(HOST_KEY);
    if file.exists() {
        return PrivateKey::from_openssh(fs::read(&file)?).map_err(io::Error::other);
    }
    let key = PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).map_err(io::Error::other)?;
    let text = key.to_openssh(LineEnding::LF).map_err(io::Error::other)?;
    write_atomically(&file, 0o600, text.as_bytes())?;
    Ok(key)
}

fn publish(machine: &Machine, key: &PublicKey) -> io::Result<()> {
    let line = key.to_openssh().map_err(io::Error::other)?;
    let mut parts = line.split(' ').map(str::to_owned);
    let attribute = parts.next().zip(parts.next());
    let file = machine.layout.guest_attributes();
    // What the machine's programs have said before it booted again stays.
    let mut attributes: BTreeMap<String, BTreeMap<String, String>> = match fs::read(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
        content => serde_json::from_slice(&content?)?,
    };
    attributes.insert(HOST_KEYS.to_owned(), BTreeMap::from_iter(attribute));
    let json = serde_json::to_vec_pretty(&attributes)?;
    write_atomically(&file, 0o600, &json)
}

async fn accept(listener: TcpListener, config: Arc<server::Config>, agent: Arc<Agent>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (config, login) = (config.clone(), Login::new(agent.clone()));
        tokio::spawn(async move {
            // However a connection ends, nobody here is to be told.
            if let Ok(session) = run_stream(config, stream, login).await {
                let _ = session.await;
            }
        });
    }
}
