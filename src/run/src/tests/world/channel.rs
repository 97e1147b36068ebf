//! Files on machines. A crash may precede the last file, which is the one that starts something.

use super::Moves::{Endpoint, Nothing};
use super::api::Process;
use super::upgrade::RELEASE;
use async_trait::async_trait;
use hakube_channel::{Channel, Door, own_address};
use hakube_error::{Error, Result};
use hakube_machine::{ARRANGEMENT, RELEASE_IN_FORCE};
use hakube_model::DiskSpace;
use hakube_provider::{Machine, MachineRef};
use hakube_secret::SecretFile;
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
        // Certificates are read so often that crashes there would dominate, and reading changes nothing.
        if path.starts_with("/etc/kubernetes/pki/") || path == RELEASE_IN_FORCE {
            return self
                .look(|world| {
                    if !world.answers(name) {
                        return Err(Error::failed(format!("{name} is booting")).transient());
                    }
                    let booted = world.is_node(name).then(|| "booted".to_owned());
                    let text = world.file(name, path).cloned().or(booted);
                    Ok(text.map(String::into_bytes))
                })
                .await;
        }
        self.call(&format!("read {path} on {name}"), Nothing, |world| {
            let found = world.cloud.machines.get(name);
            if !found.is_some_and(|found| found.is_up(world.now)) {
                return Err(Error::failed(format!("could not read from {name}"))
                    .because("it is booting")
                    .transient());
            }
            Ok(world.file(name, path).map(|text| text.clone().into_bytes()))
        })
        .await
    }

    async fn disk(&self, machine: &MachineRef, _: &str) -> Result<Option<DiskSpace>> {
        let space = self.look(|world| world.disk_space.get(&machine.name).copied());
        Ok(space.await)
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
        let alone = self.world().cloud.machines.len() == 1;
        // The arrangement moves the endpoint's address. The only replica's restart interrupts it.
        let moves = match paths.first() {
            Some(&ARRANGEMENT) => Endpoint,
            Some(&RELEASE) if alone => Endpoint,
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
                if !(up || world.is_node(name) && world.answers(name)) {
                    return Err(Error::failed(format!("could not write to {name}"))
                        .because("it is booting")
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
