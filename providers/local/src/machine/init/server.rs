//! Answers the handle's requests.

use std::rc::Rc;

use base64::{Engine, prelude::BASE64_STANDARD};
use tokio::{
    net::{UnixListener, UnixStream},
    task::spawn_local,
};
use tokio_util::sync::CancellationToken;

use super::units::Units;
use crate::machine::{
    control::{Request, Response, receive, send},
    layout::write_atomically,
};

/// Serves until the machine is off.
pub async fn serve(listener: UnixListener, units: Rc<Units>, power_off: CancellationToken) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(spawn_local(talk(stream, units.clone(), power_off.clone()))),
            // Out of descriptors: better later than in a tight loop.
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
        Request::PutFile {
            path,
            mode,
            content,
        } => match put_file(&units, &path, mode, &content) {
            Ok(()) => Response::Done,
            Err(reason) => Response::Refused(reason),
        },
        Request::ShutDown => {
            power_off.cancel();
            Response::Done
        }
    };
    // Whoever has asked may be gone.
    let _ = send(&mut stream, &response).await;
}

fn put_file(units: &Units, path: &str, mode: u32, content: &str) -> Result<(), String> {
    let file = units
        .machine
        .root
        .file(path)
        .map_err(|error| error.to_string())?;
    let content = BASE64_STANDARD
        .decode(content)
        .map_err(|error| error.to_string())?;
    write_atomically(&file, mode, &content)
        .map_err(|error| format!("cannot write {path}: {error}"))?;
    units.machine.files_changed.notify_waiters();
    Ok(())
}
