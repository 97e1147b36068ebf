//! One host: leasing it, applying a document, giving it back.

use crate::document::{Document, File};
use crate::lease::{Held, Kind, Lease};
use crate::remote::{LOOKING, Patience, QUICK, Remote, SLOW};
use crate::scripts::{CARRIED_OUT, GIVE_BACK, LEASE, LEASED, LEFT, LOOK, PUT, RELABEL, RUN, USED};
use hakube_provider::{ErrorKind, Machine, MachineSpec, MachineState, Result};
use std::fmt::Write as _;
use std::net::IpAddr;

/// The file from which units read the machine's name and address.
const MACHINE_ENV: &str = "/etc/hakube/machine.env";

impl Remote {
    /// The host's lease, if it has one.
    ///
    /// # Errors
    /// The host doesn't respond within [`LOOKING`]'s limit.
    pub(crate) async fn held(&self) -> Result<Option<Held>> {
        let (_, text) = self.run("query", LOOK, &[], b"", LOOKING).await?;
        Held::parse(self, &text)
    }

    /// Leases the host as this machine and applies the spec's document.
    ///
    /// # Errors
    /// Another cluster has the host, it is unreachable, or the document can't be applied.
    pub(crate) async fn take(&self, spec: &MachineSpec, kind: Kind) -> Result<Machine> {
        self.offer("lease").await?;
        let mut lease = Lease {
            cluster: spec.cluster.clone(),
            machine: self.host.name.clone(),
            kind,
            labels: spec.labels.clone(),
            since: jiff::Timestamp::now().strftime("%FT%TZ").to_string(),
        };
        let input = format!("{}{GIVE_BACK}", lease.line());
        let patience = Patience {
            expected: &[LEASED, USED],
            ..SLOW
        };
        let (status, output) = self
            .run("lease", LEASE, &[], input.as_bytes(), patience)
            .await?;
        if status == USED {
            let reason = format!("{}: another cluster has used it", output.trim());
            return Err(self.error("lease", ErrorKind::Conflict, reason).with_hint(
                "remove its contents if they aren't needed, or remove the host from the inventory",
            ));
        }
        if status == LEASED {
            let there = Lease::parse(self, &output)?;
            if !there.is_as(&lease) {
                return Err(there.conflict(self, "lease"));
            }
            lease.since.clone_from(&there.since);
            if there != lease {
                self.relabel(&lease).await?;
            }
        }
        self.carry_out(&spec.user_data).await?;
        Ok(self.machine(&Held {
            lease,
            carried_out: Some(String::new()),
        }))
    }

    /// Replaces the lease with another one of the same cluster.
    ///
    /// # Errors
    /// The host is unreachable.
    pub(crate) async fn relabel(&self, lease: &Lease) -> Result<()> {
        self.run("lease", RELABEL, &[], lease.line().as_bytes(), QUICK)
            .await?;
        Ok(())
    }

    /// Writes the files that differ. Runs the document's commands if a file changed or if they
    /// haven't all been run before.
    async fn carry_out(&self, user_data: &str) -> Result<()> {
        let what = "set up";
        let document = Document::parse(user_data).map_err(|problem| {
            let message = format!("its cloud-config document can't be applied: {problem}");
            self.error(what, ErrorKind::Invalid, message)
        })?;
        let sum = document.sum();
        let mut files = document.files;
        let host = &self.host;
        files.push(File {
            path: MACHINE_ENV.to_owned(),
            mode: 0o644,
            content: format!("NODE={}\nNODE_ADDRESS={}\n", host.name, host.address).into_bytes(),
        });
        let mut arguments: Vec<String> = Vec::new();
        let mut input = Vec::new();
        for file in &files {
            let size = file.content.len().to_string();
            arguments.extend([format!("{:o}", file.mode), size, file.path.clone()]);
            input.extend_from_slice(&file.content);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (_, output) = self.run(what, PUT, &arguments, &input, SLOW).await?;
        let has_changed = output.lines().any(|line| line.starts_with("changed "));
        if !has_changed && output.lines().any(|line| line == format!("done {sum}")) {
            return Ok(());
        }
        for command in &document.commands {
            let mut words: Vec<&str> = command.iter().map(String::as_str).collect();
            if words.starts_with(&["systemctl", "enable", "--now"]) {
                // Units that wait for files start once those exist. Don't wait for that here.
                words.insert(3, "--no-block");
            }
            self.run(what, RUN, &words, b"", SLOW).await?;
        }
        self.run(what, CARRIED_OUT, &[&sum], b"", QUICK).await?;
        Ok(())
    }

    /// Gives the host back if this cluster has it. `shared` is the address that replicas share.
    ///
    /// # Errors
    /// Another cluster has it, it is unreachable, or something is left on it. The last two list the
    /// leftovers.
    pub(crate) async fn give_back(&self, cluster: &str, shared: Option<IpAddr>) -> Result<()> {
        let what = "give back";
        let held = self.held().await.map_err(|mut error| {
            what.clone_into(&mut error.action);
            let _ = write!(
                error.message,
                "; the cluster may have left on it: units, containers, network interfaces and rules, \
                 /var/lib/etcd, /var/lib/kubelet, /var/lib/containerd"
            );
            if error.hint.is_none() || error.is_transient() {
                return error.with_hint(
                    "once it is reachable, run this command again; or run as root on the host: sh /var/lib/hakube/give-back",
                );
            }
            error
        })?;
        match held {
            None => return Ok(()),
            Some(held) if held.lease.cluster != cluster => {
                return Err(held.lease.conflict(self, what));
            }
            Some(_) => {}
        }
        let shared = shared.map(|address| address.to_string());
        let arguments: Vec<&str> = shared.as_deref().into_iter().collect();
        let patience = Patience {
            expected: &[LEFT],
            ..SLOW
        };
        let (status, left) = self.run(what, GIVE_BACK, &arguments, b"", patience).await?;
        if status == LEFT {
            let left = left.trim().replace('\n', ", ");
            return Err(self
                .error(what, ErrorKind::Fatal, format!("leftovers on it: {left}"))
                .with_hint("remove them on the host, then run this command again"));
        }
        Ok(())
    }

    /// The machine that a leased host is. It counts as starting until it is fully set up.
    pub(crate) fn machine(&self, held: &Held) -> Machine {
        let host = &self.host;
        Machine {
            name: host.name.clone(),
            zone: host.zone.clone(),
            state: match held.carried_out {
                Some(_) => MachineState::Running,
                None => MachineState::Starting,
            },
            internal_address: Some(host.address),
            external_address: None,
            alias_addresses: Vec::new(),
            labels: held.lease.all_labels(&host.labels),
        }
    }
}
