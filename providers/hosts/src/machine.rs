//! One host: taken, made what a document says, given back.

use crate::document::{Document, File};
use crate::lease::{Held, Kind, Lease};
use crate::remote::{LOOKING, Patience, QUICK, Remote, SLOW};
use crate::scripts::{CARRIED_OUT, GIVE_BACK, LEASE, LEASED, LEFT, LOOK, PUT, RELABEL, RUN, USED};
use hakube_provider::{ErrorKind, Machine, MachineSpec, MachineState, Result};
use std::fmt::Write as _;
use std::net::IpAddr;

/// Where units find the machine's name and address.
const MACHINE_ENV: &str = "/etc/hakube/machine.env";

impl Remote {
    /// The lease, if there is one.
    ///
    /// # Errors
    /// The host can't be asked within a few seconds.
    pub(crate) async fn held(&self) -> Result<Option<Held>> {
        let (_, text) = self.run("ask", LOOK, &[], b"", LOOKING).await?;
        Held::parse(self, &text)
    }

    /// The host is this machine from here on, and is what the spec's document says.
    ///
    /// # Errors
    /// Somebody else has it; it can't be reached; the document can't be carried out.
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
        let (status, said) = self
            .run("lease", LEASE, &[], input.as_bytes(), patience)
            .await?;
        if status == USED {
            let reason = format!("{}: another cluster has used it", said.trim());
            return Err(self.error("lease", ErrorKind::Conflict, reason).with_hint(
                "if nobody needs what is there, remove it; or leave the host out of the inventory",
            ));
        }
        if status == LEASED {
            let there = Lease::parse(self, &said)?;
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

    /// Another lease of the same cluster, in the place of the one that is there.
    ///
    /// # Errors
    /// The host can't be asked.
    pub(crate) async fn relabel(&self, lease: &Lease) -> Result<()> {
        self.run("lease", RELABEL, &[], lease.line().as_bytes(), QUICK)
            .await?;
        Ok(())
    }

    /// Puts what differs, and runs the document's commands if anything did, or if they weren't all run before.
    async fn carry_out(&self, user_data: &str) -> Result<()> {
        let what = "set up";
        let document = Document::parse(user_data).map_err(|problem| {
            let message = format!("its document can't be carried out: {problem}");
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
        let (_, said) = self.run(what, PUT, &arguments, &input, SLOW).await?;
        let has_changed = said.lines().any(|line| line.starts_with("changed "));
        if !has_changed && said.lines().any(|line| line == format!("done {sum}")) {
            return Ok(());
        }
        for command in &document.commands {
            let mut words: Vec<&str> = command.iter().map(String::as_str).collect();
            if words.starts_with(&["systemctl", "enable", "--now"]) {
                // Units that wait for files start when these are there: nobody waits for that here.
                words.insert(3, "--no-block");
            }
            self.run(what, RUN, &words, b"", SLOW).await?;
        }
        self.run(what, CARRIED_OUT, &[&sum], b"", QUICK).await?;
        Ok(())
    }

    /// Gives the host back, if this cluster has it. `shared` is the address that replicas share.
    ///
    /// # Errors
    /// Another cluster has it; it can't be reached; something is left on it. The last two say what.
    pub(crate) async fn give_back(&self, cluster: &str, shared: Option<IpAddr>) -> Result<()> {
        let what = "give back";
        let held = self.held().await.map_err(|mut error| {
            what.clone_into(&mut error.action);
            let _ = write!(
                error.message,
                "; all that the cluster put there may be left on it: units, containers, network interfaces and rules, \
                 /var/lib/etcd, /var/lib/kubelet, /var/lib/containerd"
            );
            if error.hint.is_none() || error.is_transient() {
                return error.with_hint(
                    "once it is reached again, run this again; or on the host itself, as root: sh /var/lib/hakube/give-back",
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
                .error(
                    what,
                    ErrorKind::Fatal,
                    format!("this is left on it: {left}"),
                )
                .with_hint("remove it there, then run this again"));
        }
        Ok(())
    }

    /// The machine that a leased host is. One that isn't all that it should be is starting.
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
