//! Runs the caller's code in the yard's network.

use std::fs::File;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::error::{Error, Result, While};
use crate::place::Place;
use crate::process::Process;

/// A host that is up responds within a millisecond.
const PATIENCE: Duration = Duration::from_millis(500);

/// Runs a function in a thread in the network namespace. Sockets that it opens stay there.
pub(crate) fn inside<T: Send + 'static>(
    place: &Place,
    function: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let path = place.network()?;
    let network = File::open(&path).while_(|| format!("opening {path}"))?;
    let thread = std::thread::spawn(move || {
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
            .while_(|| "entering the yard's network".to_owned())?;
        Ok(function())
    });
    let panicked =
        |_| Error::Asked("a function that ran in the yard's network panicked".to_owned());
    thread.join().map_err(panicked)?
}

/// Whether an ssh server responds there.
pub(crate) fn greets(place: &Place, ssh: SocketAddr) -> Result<bool> {
    inside(place, move || {
        let connected = TcpStream::connect_timeout(&ssh, PATIENCE);
        let greeted = connected.and_then(|mut stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            let mut greeting = [0; 4];
            stream.read_exact(&mut greeting)?;
            Ok(greeting)
        });
        greeted.is_ok_and(|greeting| &greeting == b"SSH-")
    })
}

/// How many PID namespaces deep this process is, usually 1.
pub(crate) fn depth() -> usize {
    let own = i32::try_from(std::process::id()).ok().and_then(Process::of);
    own.map_or(1, |own| own.ids().len().max(1))
}
