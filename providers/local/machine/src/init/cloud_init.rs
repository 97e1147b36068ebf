//! The first boot: carries out the user data once, as cloud-init would.

use std::{fs, io, rc::Rc};

use super::{machine::Machine, units::Units};
use crate::{
    cloud_config::{self, CloudConfig, File, Systemctl},
    layout::write_atomically,
};

/// cloud-init's marker file for written files.
const FILES_WRITTEN: &str = "/var/lib/cloud/instance/sem/config_write_files";
const COMMANDS_RUN: &str = "/var/lib/cloud/instance/boot-finished";
const HOSTNAME: &str = "/etc/hostname";

/// Writes the host name and the files, unless an earlier boot did. Returns the commands to run.
pub fn write_files(machine: &Machine) -> io::Result<CloudConfig> {
    if let Ok(hostname) = fs::read_to_string(machine.root.locate(HOSTNAME)) {
        machine.hostname.replace(hostname.trim().to_owned());
    }
    if machine.root.locate(COMMANDS_RUN).exists() {
        return Ok(CloudConfig::default());
    }
    let config = cloud_config::parse(&machine.spec.user_data).unwrap_or_else(|error| {
        // As on a real machine: it boots without any of its user data.
        machine.console.say(format!(
            "cloud-init: {error}. Nothing of it is carried out."
        ));
        CloudConfig::default()
    });
    if machine.root.locate(FILES_WRITTEN).exists() {
        return Ok(config);
    }
    for remark in &config.remarks {
        machine.console.say(format!("cloud-init: {remark}"));
    }
    let hostname = config
        .hostname
        .clone()
        .unwrap_or_else(|| machine.spec.name.clone());
    write_atomically(
        &machine.root.locate(HOSTNAME),
        0o644,
        format!("{hostname}\n").as_bytes(),
    )?;
    machine.hostname.replace(hostname);
    for file in &config.files {
        if let Err(reason) = write(machine, file) {
            machine
                .console
                .say(format!("cloud-init: write_files {}: {reason}", file.path));
        }
    }
    write_atomically(&machine.root.locate(FILES_WRITTEN), 0o644, b"")?;
    Ok(config)
}

fn write(machine: &Machine, file: &File) -> Result<(), String> {
    let path = machine
        .root
        .file(&file.path)
        .map_err(|error| error.to_string())?;
    if path != machine.root.locate(&file.path) {
        machine.console.say(format!(
            "cloud-init: write_files {}: units see the host's file instead",
            file.path
        ));
    }
    let mut content = Vec::new();
    if file.append {
        content = fs::read(&path).unwrap_or_default();
    }
    content.extend_from_slice(&file.content);
    write_atomically(&path, file.mode, &content).map_err(|error| error.to_string())
}

/// Runs the commands in order, then records that the first boot is complete. A command that never ends (a
/// service that never gets ready) blocks those after it, as on a real machine.
pub async fn run_commands(units: Rc<Units>, config: CloudConfig) {
    for command in config.commands {
        match command {
            Systemctl::DaemonReload => units.reload(),
            Systemctl::Enable { units: names, now } => {
                names.iter().for_each(|name| units.enable(name));
                if now {
                    units.start(&names).await;
                }
            }
            Systemctl::Start {
                units: names,
                wait: true,
            } => drop(units.start(&names).await),
            Systemctl::Start {
                units: names,
                wait: false,
            } => {
                let units = units.clone();
                tokio::task::spawn_local(async move { units.start(&names).await });
            }
        }
    }
    let machine = &units.machine;
    if machine.shutting_down.get() {
        return;
    }
    if let Err(error) = write_atomically(&machine.root.locate(COMMANDS_RUN), 0o644, b"") {
        machine.console.say(format!(
            "cloud-init: cannot record that the first boot is complete: {error}"
        ));
    }
}
