//! The machine's units: files, states, start and stop.

use std::{cell::RefCell, collections::BTreeMap, fs, os::unix::fs::symlink, path::PathBuf, rc::Rc};

use futures::{FutureExt, future::join_all};
use tokio::{sync::oneshot, task::spawn_local};

use super::{
    entry::{Entry, is_down},
    exit::Outcome,
    machine::Machine,
    path, service,
};
use crate::{
    spec::{UnitState, UnitStatus},
    unit::{self, Job, Kind, Unit},
};

/// The directory of unit files on the machine.
const UNIT_DIR: &str = "/etc/systemd/system";

/// The reason that a unit did not start.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StartError {
    #[error("Unit {0} not found.")]
    NotFound(String),
    #[error("Unit {name} has a bad unit file setting: {reason}")]
    Bad { name: String, reason: String },
    #[error("Dependency failed for {0}.")]
    Dependency(String),
    #[error("Failed to start {title}: {outcome}")]
    Failed { title: String, outcome: Outcome },
    #[error("The machine is shutting down, {0} is not started.")]
    ShuttingDown(String),
}

pub struct Units {
    pub machine: Rc<Machine>,
    entries: RefCell<BTreeMap<String, Rc<Entry>>>,
}

impl Units {
    pub fn new(machine: Rc<Machine>) -> Self {
        Self {
            machine,
            entries: RefCell::default(),
        }
    }

    /// The status of every unit that has a file.
    pub fn status(&self) -> Vec<UnitStatus> {
        let entries = self.entries.borrow();
        entries
            .values()
            .filter(|entry| entry.text.borrow().is_some())
            .map(|entry| entry.status.borrow().clone())
            .collect()
    }

    /// `systemctl daemon-reload`: reads every unit file. Running units keep their settings.
    pub fn reload(&self) {
        let Ok(files) = fs::read_dir(self.machine.root.locate(UNIT_DIR)) else {
            return;
        };
        for file in files.flatten() {
            if let Some(name) = file.file_name().to_str()
                && file.path().is_file()
            {
                self.read(name);
            }
        }
    }

    /// Reads a unit's file, and prints settings without effect on the console, once per content.
    fn read(&self, name: &str) -> Option<Rc<Entry>> {
        let file = self.unit_dir().join(name);
        let text = fs::read_to_string(file).ok();
        if text.is_none() && !name.ends_with(".target") {
            return None;
        }
        let mut entries = self.entries.borrow_mut();
        let entry = entries
            .entry(name.to_owned())
            .or_insert_with(|| Rc::new(Entry::new(name)))
            .clone();
        if *entry.text.borrow() != text {
            let console = &self.machine.console;
            let parsed = unit::parse(
                name,
                &self.machine.hostname.borrow(),
                text.as_deref().unwrap_or_default(),
            );
            match parsed {
                Ok(parsed) => {
                    parsed
                        .remarks
                        .iter()
                        .for_each(|remark| console.say(format!("{name}: {remark}")));
                    entry.unit.replace(Rc::new(parsed.unit));
                    entry.broken.replace(None);
                }
                Err(error) => {
                    console.say(format!("{name}: {error}"));
                    entry.broken.replace(Some(error.to_string()));
                }
            }
            entry.text.replace(text);
        }
        Some(entry)
    }

    /// A unit that is loaded, or else read now.
    pub fn get(&self, name: &str) -> Option<Rc<Entry>> {
        let known = self.entries.borrow().get(name).cloned();
        known.or_else(|| self.read(name))
    }

    /// A unit, with the units enabled for it (`NAME.wants/`) added to its wants.
    fn with_links(&self, name: &str) -> Option<Rc<Unit>> {
        let unit = self.get(name)?.unit();
        let links = |kind: &str| -> Vec<String> {
            let found = fs::read_dir(self.unit_dir().join(format!("{name}.{kind}")));
            let mut names: Vec<String> = found
                .into_iter()
                .flatten()
                .flatten()
                .filter_map(|link| link.file_name().into_string().ok())
                .collect();
            names.sort();
            names
        };
        let (wants, requires) = (links("wants"), links("requires"));
        if wants.is_empty() && requires.is_empty() {
            return Some(unit);
        }
        let mut unit = Unit::clone(&unit);
        unit.wants.extend(wants);
        unit.requires.extend(requires);
        Some(Rc::new(unit))
    }

    /// `systemctl enable`: links the unit into the targets of its `WantedBy=`.
    pub fn enable(&self, name: &str) {
        let console = &self.machine.console;
        let Some(entry) = self.get(name) else {
            console.say(format!(
                "Failed to enable unit: Unit file {name} does not exist."
            ));
            return;
        };
        let unit = entry.unit();
        if unit.wanted_by.is_empty() {
            console.say(format!(
                "{name}: The unit file has no installation config (WantedBy=): it is not enabled."
            ));
        }
        for target in &unit.wanted_by {
            let link = format!("{target}.wants/{name}");
            let path = self.unit_dir().join(&link);
            let made = path
                .parent()
                .map_or(Ok(()), fs::create_dir_all)
                .and_then(|()| symlink(format!("../{name}"), &path));
            match made {
                Ok(()) => console.say(format!(
                    "Created symlink {UNIT_DIR}/{link} → {UNIT_DIR}/{name}."
                )),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => console.say(format!(
                    "Failed to create symlink {UNIT_DIR}/{link}: {error}"
                )),
            }
        }
    }

    /// Starts units and all that they want and require, in order; returns when each has started or failed.
    /// Continues if the caller stops waiting.
    pub async fn start(self: &Rc<Self>, roots: &[String]) -> Vec<Result<(), StartError>> {
        let transaction = unit::start_order(roots, |name| self.with_links(name));
        transaction
            .remarks
            .iter()
            .for_each(|remark| self.machine.console.say(remark));
        let mut jobs = BTreeMap::new();
        for job in transaction.jobs {
            let first: Vec<_> = job
                .after
                .iter()
                .filter_map(|name| jobs.get(name).cloned().map(|job| (name.clone(), job)))
                .collect();
            let name = job.unit.clone();
            let units = self.clone();
            let (sender, receiver) = oneshot::channel();
            spawn_local(async move {
                let _ = sender.send(units.run_job(job, first).await);
            });
            let result = async move { receiver.await.unwrap_or(Ok(())) };
            jobs.insert(name, result.boxed_local().shared());
        }
        join_all(roots.iter().filter_map(|root| jobs.get(root).cloned())).await
    }

    async fn run_job<F>(self: Rc<Self>, job: Job, first: Vec<(String, F)>) -> Result<(), StartError>
    where
        F: Future<Output = Result<(), StartError>>,
    {
        let mut result = Ok(());
        for (name, done) in first {
            if done.await.is_err() && job.requires.contains(&name) {
                result = Err(StartError::Dependency(job.unit.clone()));
            }
        }
        if result.is_ok() {
            result = self.start_one(&job.unit).await;
        }
        if let Err(error) = &result {
            self.machine.console.say(error.to_string());
        }
        result
    }

    /// Starts a unit, unless it is up already.
    pub async fn start_one(self: &Rc<Self>, name: &str) -> Result<(), StartError> {
        let entry = self
            .get(name)
            .ok_or_else(|| StartError::NotFound(name.to_owned()))?;
        if let Some(reason) = entry.broken.borrow().clone() {
            return Err(StartError::Bad {
                name: name.to_owned(),
                reason,
            });
        }
        let unit = entry.unit();
        let failed = |outcome| StartError::Failed {
            title: unit.title(),
            outcome,
        };
        let settled = |state| {
            !matches!(
                state,
                UnitState::Starting | UnitState::Restarting | UnitState::Stopping
            )
        };
        if !settled(entry.state()) {
            return match entry.reaches(settled).await {
                UnitState::Failed => Err(failed(Outcome::ExitCode)),
                _ => Ok(()),
            };
        }
        if self.machine.shutting_down.get() {
            return Err(StartError::ShuttingDown(name.to_owned()));
        }
        if !is_down(entry.state()) {
            return Ok(());
        }
        entry.update(|status| status.restarts = 0);
        entry.start_limit_hit.set(false);
        let stop = entry.arm();
        match &unit.kind {
            Kind::Target => {
                entry.set_state(UnitState::Running);
                self.machine
                    .console
                    .say(format!("Reached target {}.", unit.title()));
                let entry = entry.clone();
                spawn_local(async move {
                    stop.cancelled().await;
                    entry.set_state(UnitState::Inactive);
                });
                Ok(())
            }
            Kind::Path(path) => {
                entry.set_state(UnitState::Waiting);
                self.machine
                    .console
                    .say(format!("Started {}.", unit.title()));
                let (units, triggered) = (self.clone(), path.unit.clone());
                let start = async move || {
                    let started = units.start(std::slice::from_ref(&triggered)).await;
                    (units.get(&triggered), started.iter().all(Result::is_ok))
                };
                let (machine, entry) = (self.machine.clone(), entry.clone());
                spawn_local(path::watch(machine, entry, path.clone(), stop, start));
                Ok(())
            }
            Kind::Service(service) => {
                let (started, result) = oneshot::channel();
                let activation = service::Activation::new(
                    self.machine.clone(),
                    entry.clone(),
                    unit.clone(),
                    (**service).clone(),
                    stop,
                );
                entry.set_state(UnitState::Starting);
                spawn_local(activation.run(started));
                result.await.unwrap_or(Ok(())).map_err(failed)
            }
        }
    }

    pub async fn stop_all(self: &Rc<Self>) {
        self.machine.shutting_down.set(true);
        let up: Vec<(Rc<Entry>, Rc<Unit>)> = {
            let entries = self.entries.borrow();
            entries
                .values()
                .filter(|entry| !is_down(entry.state()))
                .map(|entry| (entry.clone(), entry.unit()))
                .collect()
        };
        let by_name = up
            .iter()
            .map(|(_, unit)| (unit.name.as_str(), &**unit))
            .collect();
        let entries: BTreeMap<&str, &Rc<Entry>> = up
            .iter()
            .map(|(entry, _)| (entry.name.as_str(), entry))
            .collect();
        let stops = unit::stop_order(&by_name)
            .into_iter()
            .filter_map(|(name, first)| {
                let entry = Rc::clone(entries.get(name.as_str())?);
                let first: Vec<Rc<Entry>> = first
                    .iter()
                    .filter_map(|name| entries.get(name.as_str()).copied().cloned())
                    .collect();
                Some(async move {
                    join_all(first.iter().map(|before| before.reaches(is_down))).await;
                    entry.stop.borrow().cancel();
                    entry.reaches(is_down).await;
                })
            });
        join_all(stops).await;
    }

    fn unit_dir(&self) -> PathBuf {
        self.machine.root.locate(UNIT_DIR)
    }
}
