//! Creates a host: its number, disk, layer of files and boot script.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::error::{Error, Result, While, checked};
use crate::host::Host;
use crate::layer;
use crate::network::{self, quoted};
use crate::place::{Place, private};
use crate::spec::HostSpec;

/// The numbers that are assigned automatically.
const NUMBERS: std::ops::RangeInclusive<u8> = 11..=254;

/// Claims a name and an address for a host.
pub(crate) fn claim(place: &Arc<Place>, spec: &HostSpec) -> Result<Host> {
    check_name(&spec.name)?;
    let run = place.run.join("hosts").join(&spec.name);
    if run.exists() {
        let what = format!("host {} already exists", spec.name);
        return Err(Error::Asked(what));
    }
    private(&run)?;
    let number = take_number(place, spec.number)?;
    Ok(Host {
        place: Arc::clone(place),
        name: spec.name.clone(),
        number,
    })
}

/// Creates the host's disk, layer and boot script. It isn't powered on yet.
pub(crate) fn make(host: &Host, spec: &HostSpec) -> Result<()> {
    let place = &host.place;
    private(&host.data(""))?;
    for directory in ["layer", "root", "mounted"] {
        private(&host.data(directory))?;
    }
    let key = fs::read_to_string(place.data.join("ssh-key.pub"))
        .while_(|| "reading the yard's key".to_owned())?;
    layer::write(&host.data("layer"), spec, host.number, &key)?;
    let known = format!("{} {}\n", host.address(), host.ssh_host_key()?);
    fs::write(host.data("known-hosts"), known).while_(|| "writing known-hosts".to_owned())?;

    make_disk(host, spec)?;
    if let Some(devices) = &spec.devices {
        host.set_devices(devices)?;
    }
    host.write("boot", &script(host, spec)?)?;
    // Last: from here on the host is visible to other processes.
    host.write("number", &host.number.to_string())
}

fn make_disk(host: &Host, spec: &HostSpec) -> Result<()> {
    if let Some(file) = &spec.disk {
        host.write("disk", &file.display().to_string())?;
    }
    let disk = host.disk();
    if spec.disk.is_some() && disk.exists() {
        return Ok(());
    }
    // Under another name until it has a file system: a half-made disk isn't booted from.
    let new = disk.with_extension("new");
    let size = spec.disk_mib << 20;
    File::create(&new)
        .and_then(|file| file.set_len(size))
        .while_(|| format!("creating {}", new.display()))?;
    // No blocks reserved for root, who could otherwise write to a full disk.
    let mut format = Command::new("mke2fs");
    format.args([
        "-q",
        "-F",
        "-t",
        "ext4",
        "-m",
        "0",
        "-E",
        "lazy_itable_init=1,lazy_journal_init=1",
    ]);
    checked(format.arg(&new))?;
    fs::rename(&new, &disk).while_(|| format!("creating {}", disk.display()))
}

/// Names are valid host names, and short enough as part of other names.
fn check_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_fit = (1..=40).contains(&name.len())
        && name.chars().all(fits)
        && !name.starts_with('-')
        && !name.ends_with('-');
    let what = || {
        Error::Asked(format!(
            "{name:?} isn't a valid host name: use up to 40 of a-z, 0-9 and -"
        ))
    };
    is_fit.then_some(()).ok_or_else(what)
}

/// Several hosts may boot at once. The process that creates the file has the number.
fn take_number(place: &Place, wanted: Option<u8>) -> Result<u8> {
    let candidates = match wanted {
        Some(number @ 2..=254) => number..=number,
        Some(number) => {
            let what = format!("10.77.0.{number} can't be a host's address");
            return Err(Error::Asked(what));
        }
        None => NUMBERS,
    };
    for number in candidates {
        match File::create_new(place.run.join("numbers").join(number.to_string())) {
            Ok(_) => return Ok(number),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).while_(|| "taking an address".to_owned()),
        }
    }
    Err(Error::Asked(
        "the address is in use, or no address is left".to_owned(),
    ))
}

fn script(host: &Host, spec: &HostSpec) -> Result<String> {
    let image: String = host.place.get("image").unwrap_or_default();
    let own = host.data("layer");
    // The first is the topmost.
    let layers =
        std::iter::once(own.as_path()).chain(spec.layers.iter().rev().map(|layer| layer.as_path()));
    let layers: Vec<_> = layers.chain([Path::new(&image)]).collect();
    for layer in &layers {
        let path = layer.display().to_string();
        if !layer.is_absolute() || !layer.is_dir() || path.contains([':', ',', '\\']) {
            let what = format!(
                "{path} can't be a layer: it must be a directory's absolute path without `:`, `,` and `\\`"
            );
            return Err(Error::Asked(what));
        }
    }
    let lower: Vec<_> = layers
        .iter()
        .map(|layer| layer.display().to_string())
        .collect();
    let groups = host.groups();
    let is_v2 = |group: &std::path::PathBuf| {
        group
            .parent()
            .is_some_and(|above| above.join("cgroup.controllers").exists())
    };
    let is_unified = groups.directories().iter().all(is_v2);
    let values = [
        ("NETWORK", host.place.network()?),
        ("DOORS", groups.doors().join(" ")),
        (
            "DATA",
            host.data("")
                .display()
                .to_string()
                .trim_end_matches('/')
                .to_owned(),
        ),
        ("DISK", host.disk().display().to_string()),
        ("DEVICES", host.run_file("devices").display().to_string()),
        ("LOWER", lower.join(":")),
        ("MACHINE", network::machine(host.number)),
        ("HOSTNAME", host.name.clone()),
        ("UNIFIED", u8::from(is_unified).to_string()),
    ];
    let values = values.map(|(name, value)| format!("{name}={}\n", quoted(&value)));
    Ok(format!("{}{}", values.concat(), include_str!("boot.sh")))
}

#[cfg(test)]
mod tests {
    use super::check_name;

    #[test]
    fn names_are_valid_host_names() {
        for name in ["a", "host-1", "kubernetes-master-x7f"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "-a", "a-", "A", "a.b", "../a", "a b"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
