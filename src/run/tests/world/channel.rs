//! Files onto machines. A crash may come before the last one, which is the one that starts something.

use super::Moves::{Endpoint, Nothing};
use super::api::Process;
use crate::channel::{Channel, Door, own_address};
use crate::error::{Error, Result};
use crate::machine::ARRANGEMENT;
use crate::pki::SecretFile;
use async_trait::async_trait;
use hakube_provider::{Machine, MachineRef};
use std::net::SocketAddr;

#[async_trait]
impl Channel for Process {
    async fn put(&self, machine: &MachineRef, files: &[SecretFile]) -> Result<()> {
        let (last, first) = files
            .split_last()
            .map_or((None, files), |(last, first)| (Some(last), first));
        if !first.is_empty() {
            self.put_at_once(machine, first).await?;
        }
        match last {
            Some(last) => self.put_at_once(machine, std::slice::from_ref(last)).await,
            None => Ok(()),
        }
    }

    async fn read(&self, machine: &MachineRef, path: &str) -> Result<Option<Vec<u8>>> {
        let name = &machine.name;
        // Certificates are read so often that a crash at each would be most of all crashes, and reading changes nothing.
        if path.starts_with("/etc/kubernetes/pki/") {
            return self
                .look(|world| {
                    let found = world.cloud.machines.get(name);
                    if !found.is_some_and(|found| found.is_up(world.now)) {
                        return Err(Error::failed(format!("{name} boots")).transient());
                    }
                    Ok(world.file(name, path).map(|text| text.clone().into_bytes()))
                })
                .await;
        }
        self.call(&format!("read {path} on {name}"), Nothing, |world| {
            let found = world.cloud.machines.get(name);
            if !found.is_some_and(|found| found.is_up(world.now)) {
                return Err(Error::failed(format!("{name} can't be read from"))
                    .because("it boots")
                    .transient());
            }
            Ok(world.file(name, path).map(|text| text.clone().into_bytes()))
        })
        .await
    }

    async fn reach(&self, machine: &Machine, port: u16) -> Result<Door> {
        Ok(Door {
            at: SocketAddr::new(own_address(machine)?, port),
            machine: machine.name.clone(),
        })
    }
}

impl Process {
    async fn put_at_once(&self, machine: &MachineRef, files: &[SecretFile]) -> Result<()> {
        let name = &machine.name;
        let paths: Vec<&str> = files
            .last()
            .map(|file| file.path.as_str())
            .into_iter()
            .collect();
        // What is put to be done about the endpoint's address moves it.
        let moves = match paths.first() {
            Some(&ARRANGEMENT) => Endpoint,
            _ => Nothing,
        };
        self.call(
            &format!("put {} on {name}", paths.join(", ")),
            moves,
            |world| {
                let found = world
                    .cloud
                    .machines
                    .get(name)
                    .filter(|found| found.zone == machine.zone);
                let up = found.is_some_and(|found| found.is_up(world.now));
                if !up {
                    return Err(Error::failed(format!("{name} doesn't take files"))
                        .because("it boots")
                        .transient());
                }
                for file in files {
                    world.put_file(name, &file.path, file.content.expose());
                }
                Ok(())
            },
        )
        .await
    }
}
