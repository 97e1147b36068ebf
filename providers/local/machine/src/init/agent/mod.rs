//! The ssh part of the guest agent: a server for the users in the instance's metadata, with the machine's
//! own host key, which it publishes as a guest attribute.
//!
//! Source: Google's guest agent (github.com/GoogleCloudPlatform/guest-agent) and its documentation. The
//! cloud sends the keys again when the metadata changes.

use std::{collections::BTreeMap, fs, io, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use russh::{
    MethodKind, MethodSet,
    keys::{Algorithm, PrivateKey, PublicKey, key::safe_rng, ssh_key::LineEnding},
    server::{self, run_stream},
};
use tokio::{net::TcpListener, sync::mpsc, task::spawn_local};

use self::login::{Agent, Login, User};
use super::{machine::Machine, units::Units};
use crate::layout::write_atomically;

mod exec;
mod login;

/// The usual port of ssh.
const PORT: u16 = 22;
const HOST_KEY: &str = "/etc/ssh/ssh_host_ed25519_key";
/// The namespace of host keys in guest attributes.
const HOST_KEYS: &str = "hostkeys";
/// The pause after an accept fails for lack of file descriptors, instead of a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A sudo without effect: all users of the machine are the same user of this host.
const SUDO: &str = "#!/bin/sh\nwhile [ \"${1#-}\" != \"$1\" ]; do shift; done\nexec \"$@\"\n";

/// Serves for as long as the machine lives, from the first user on.
pub async fn serve(units: Rc<Units>) {
    let machine = &units.machine;
    let mut keys = machine.ssh_keys.subscribe();
    let has_users = |lines: &Vec<String>| lines.iter().any(|line| User::of(line).is_some());
    if keys.wait_for(has_users).await.is_err() {
        return;
    }
    let listener = match set_up(machine).await {
        Ok(listener) => listener,
        Err(error) => {
            let at = SocketAddr::new(machine.spec.address, PORT);
            machine
                .console
                .say(format!("ssh: can't serve at {at}: {error}"));
            return;
        }
    };
    let (listener, config) = listener;
    let (orders, mut ordered) = mpsc::unbounded_channel();
    let agent = Arc::new(Agent {
        keys,
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

/// Listens first and publishes the key then: a client that reads the key finds the server.
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
        // Only this host's own user could guess.
        auth_rejection_time: Duration::ZERO,
        inactivity_timeout: None,
        nodelay: true,
        ..server::Config::default()
    };
    Ok((listener, config))
}

/// The machine's own host key, created at its first boot.
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
    // Guest attributes written before a reboot are kept.
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
            // A failed connection concerns only its client.
            if let Ok(session) = run_stream(config, stream, login).await {
                let _ = session.await;
            }
        });
    }
}
