//! Serves the handle's requests.

use std::{fmt::Display, rc::Rc};

use tokio::{
    net::{UnixListener, UnixStream},
    task::spawn_local,
};
use tokio_util::sync::CancellationToken;

use super::units::Units;
use crate::{
    control::{Request, Response, receive, send},
    layout::stage,
    spec::NewFile,
};

/// Serves until the machine is off.
pub async fn serve(listener: UnixListener, units: Rc<Units>, power_off: CancellationToken) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(spawn_local(talk(stream, units.clone(), power_off.clone()))),
            // Out of descriptors: pause instead of a busy loop.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
        }
    }
}

async fn talk(mut stream: UnixStream, units: Rc<Units>, power_off: CancellationToken) {
    let Ok(request) = receive(&mut stream).await else {
        return;
    };
    let response = match request {
        Request::Ping => Response::Done,
        Request::Units => Response::Units(units.status()),
        Request::PutFiles(files) => match put_files(&units, &files) {
            Ok(()) => Response::Done,
            Err(reason) => Response::Refused(reason),
        },
        Request::SshKeys { lines } => {
            units.machine.ssh_keys.send_replace(lines);
            Response::Done
        }
        Request::ShutDown => {
            power_off.cancel();
            Response::Done
        }
    };
    // The client may have disconnected.
    let _ = send(&mut stream, &response).await;
}

/// Replaces the files only once all of them are complete: programs read some of them in pairs, such as a
/// certificate and its key.
fn put_files(units: &Units, files: &[NewFile]) -> Result<(), String> {
    let cannot = |path: &str, why: &dyn Display| format!("cannot write {path}: {why}");
    let staged = files.iter().map(|file| {
        let NewFile { path, mode, .. } = file;
        let content = file.content().map_err(|error| cannot(path, &error))?;
        let target = units.machine.root.file(path);
        let target = target.map_err(|error| error.to_string())?;
        let temporary = stage(&target, *mode, &content).map_err(|error| cannot(path, &error))?;
        Ok((path, target, temporary))
    });
    for (path, target, temporary) in staged.collect::<Result<Vec<_>, String>>()? {
        temporary
            .persist(target)
            .map_err(|error| cannot(path, &error.error))?;
    }
    units.machine.files_changed.notify_waiters();
    Ok(())
}
