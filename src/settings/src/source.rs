//! The sources of settings, and their precedence.

use super::env_file;
use super::error::SettingError;
use super::origin::Origin;
use super::table::{self, Kind, NOT_HONOURED, Setting};
use super::warning::Warning;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the operator set. Resolution reads nothing else but the env file.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Flags with their dashes and values: `("--zone", "europe-west1-c")`.
    pub flags: Vec<(String, String)>,
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// The path in `--env-file`.
    pub env_file: Option<PathBuf>,
    /// The settings that the cluster was created with, by variable, for commands that inherit them.
    pub cluster: BTreeMap<String, String>,
    /// The user's home directory.
    pub home_dir: Option<PathBuf>,
    /// The directory that relative paths are relative to.
    pub working_dir: PathBuf,
}

impl Sources {
    /// Captures this process's environment and directories. Invalid UTF-8 is replaced, and reported
    /// later as invalid if the value is used.
    pub fn of_process(
        flags: Vec<(String, String)>,
        env_file: Option<PathBuf>,
    ) -> std::io::Result<Self> {
        let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Ok(Self {
            flags,
            env: std::env::vars_os()
                .map(|(name, value)| (lossy(name), lossy(value)))
                .collect(),
            env_file,
            cluster: BTreeMap::new(),
            home_dir: std::env::home_dir(),
            working_dir: std::env::current_dir()?,
        })
    }
}

/// A value as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    pub value: String,
    pub origin: Origin,
}

/// Values by source, in order of precedence, each by variable (flags: by their setting's canonical variable).
#[derive(Debug, Default)]
pub struct Layers {
    layers: Vec<BTreeMap<&'static str, Raw>>,
}

/// The layers, and the errors and warnings from reading them.
#[derive(Debug, Default)]
pub struct Read {
    pub layers: Layers,
    pub errors: Vec<SettingError>,
    pub warnings: Vec<Warning>,
}

/// The embedded profiles by name.
static PROFILES: &[(&str, &str)] = &[
    ("local", include_str!("../../../env/local.env")),
    ("gce", include_str!("../../../env/gce.env")),
    ("libvirt", include_str!("../../../env/libvirt.env")),
    ("hosts", include_str!("../../../env/hosts.env")),
    ("test", include_str!("../../../env/test.env")),
];

/// A setting's values in the profiles, by the profile's name.
pub fn profile_values(setting: &Setting) -> impl Iterator<Item = (&'static str, String)> {
    PROFILES.iter().filter_map(|(name, text)| {
        let (_, assignment) = env_file::parse(text)
            .find(|(_, line)| matches!(line, Ok((variable, _)) if variable == setting.key))?;
        Some((*name, assignment.ok()?.1))
    })
}

impl Read {
    /// Reads flags, environment, env file and the profiles that they select.
    pub fn from(sources: &Sources) -> Self {
        let mut read = Self::default();
        read.flags(&sources.flags);
        read.environment(&sources.env);
        if let Some(path) = &sources.env_file {
            read.env_file(path, &sources.working_dir);
        }
        read.cluster(&sources.cluster);
        read.profiles();
        read
    }

    fn flags(&mut self, flags: &[(String, String)]) {
        let mut layer = BTreeMap::new();
        for (name, value) in flags {
            match table::settings().find(|setting| setting.flag == Some(name)) {
                Some(setting) => {
                    let origin = Origin::Flag(setting.flag.unwrap_or(setting.key));
                    let value = value.clone();
                    layer.insert(setting.key, Raw { value, origin });
                }
                None => self
                    .errors
                    .push(SettingError::UnknownFlag { flag: name.clone() }),
            }
        }
        self.layers.layers.push(layer);
    }

    fn environment(&mut self, env: &BTreeMap<String, String>) {
        let mut layer = BTreeMap::new();
        // Like a shell's ${NAME:-default}: an empty variable counts as unset.
        for (name, value) in env.iter().filter(|(_, value)| !value.is_empty()) {
            match variable(name) {
                Some((variable, alias)) => {
                    let origin = Origin::Environment(alias);
                    let value = value.clone();
                    layer.insert(variable, Raw { value, origin });
                }
                None => {
                    let place = "from the environment";
                    // Only names with hakube's prefix can be typos: the environment is shared by
                    // all programs.
                    if !self.not_honoured(name, place) && name.starts_with("HAKUBE_") {
                        self.unknown(name, place);
                    }
                }
            }
        }
        self.layers.layers.push(layer);
    }

    fn env_file(&mut self, path: &Path, working_dir: &Path) {
        let text = match hakube_input::read_text(&working_dir.join(path), hakube_input::SMALL) {
            Ok(text) => text,
            Err(source) => {
                let path = path.to_owned();
                return self
                    .errors
                    .push(SettingError::UnreadableFile { path, source });
            }
        };
        let mut layer = BTreeMap::new();
        for (line, assignment) in env_file::parse(&text) {
            let (name, value) = match assignment {
                Ok((_, value)) if value.is_empty() => continue,
                Ok(assignment) => assignment,
                Err(problem) => {
                    self.errors.push(SettingError::MalformedLine {
                        path: path.to_owned(),
                        line,
                        problem: problem.0,
                    });
                    continue;
                }
            };
            match variable(&name) {
                Some((variable, alias)) => {
                    let path = path.to_owned();
                    let origin = Origin::EnvFile { path, line, alias };
                    layer.insert(variable, Raw { value, origin });
                }
                None => {
                    let place = format!("from env file {} line {line}", path.display());
                    if !self.not_honoured(&name, &place) {
                        self.unknown(&name, &place);
                    }
                }
            }
        }
        self.layers.layers.push(layer);
    }

    fn cluster(&mut self, settings: &BTreeMap<String, String>) {
        let known = settings.iter().filter_map(|(name, value)| {
            let value = value.clone();
            let origin = Origin::Cluster;
            Some((variable(name)?.0, Raw { value, origin }))
        });
        self.layers.layers.push(known.collect());
    }

    /// The requested profile, then the provider's own if it is another one. An unknown name is
    /// reported when the setting is parsed.
    fn profiles(&mut self) {
        let asked = self.layers.first(&table::PROFILE);
        self.layers.profile(asked.as_deref());
        let provider = self
            .layers
            .first(&table::PROVIDER)
            .unwrap_or_else(|| "local".to_owned());
        if asked.as_ref() != Some(&provider) {
            self.layers.profile(Some(&provider));
        }
    }

    fn not_honoured(&mut self, name: &str, place: &str) -> bool {
        let Some(known) = NOT_HONOURED.iter().find(|known| known.variable == name) else {
            return false;
        };
        let message = format!(
            "{name}, {place}, is a kube-up variable that hakube doesn't support. {}",
            known.instead
        );
        self.warnings.push(Warning::new(name, message));
        true
    }

    fn unknown(&mut self, name: &str, place: &str) {
        let nearest = table::settings()
            .flat_map(Setting::variables)
            .map(|known| (strsim::osa_distance(name, known), known))
            .min();
        let hint = match nearest {
            Some((distance, known)) if distance <= 3 => format!("Did you mean {known}?"),
            _ => "See docs/configuration.md.".to_owned(),
        };
        let message = format!("{name}, {place}, isn't a hakube setting. {hint}");
        self.warnings.push(Warning::new(name, message));
    }
}

impl Layers {
    /// Returns the value from the first layer that has one.
    pub fn find(&self, setting: &'static Setting) -> Result<Option<Raw>, Box<SettingError>> {
        for layer in &self.layers {
            let mut values = setting.variables().filter_map(|name| layer.get(name));
            let Some(first) = values.next() else {
                continue;
            };
            return match values.find(|other| !same(setting.kind, &other.value, &first.value)) {
                None => Ok(Some(first.clone())),
                Some(second) => Err(Box::new(SettingError::Conflict {
                    setting: setting.key,
                    first: first.value.clone(),
                    first_origin: first.origin.clone(),
                    second: second.value.clone(),
                    second_origin: second.origin.clone(),
                })),
            };
        }
        Ok(None)
    }

    fn first(&self, setting: &'static Setting) -> Option<String> {
        Some(self.find(setting).ok()??.value)
    }

    fn profile(&mut self, wanted: Option<&str>) {
        let Some((name, text)) = PROFILES.iter().find(|(name, _)| Some(*name) == wanted) else {
            return;
        };
        let layer = env_file::parse(text)
            .filter_map(|(_, assignment)| assignment.ok())
            .filter_map(|(name, value)| Some((variable(&name)?.0, value)))
            .map(|(variable, value)| {
                let origin = Origin::Profile(name);
                (variable, Raw { value, origin })
            })
            .collect();
        self.layers.push(layer);
    }
}

/// The table's `'static` name of a variable, twice if it is an alias.
fn variable(name: &str) -> Option<(&'static str, Option<&'static str>)> {
    table::settings().find_map(|setting| {
        let variable = setting.variables().find(|variable| *variable == name)?;
        Some((variable, (variable != setting.key).then_some(variable)))
    })
}

fn same(kind: Kind, one: &str, other: &str) -> bool {
    match kind {
        Kind::Bool => one.eq_ignore_ascii_case(other),
        _ => one == other,
    }
}
