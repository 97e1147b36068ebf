//! Reads gcloud's configuration, as the last resort for defaults.

use super::source::Sources;
use std::path::{Path, PathBuf};

/// gcloud's configuration of the operator.
#[derive(Debug)]
pub struct Gcloud<'a>(pub &'a Sources);

impl Gcloud<'_> {
    /// The configuration directory: `$CLOUDSDK_CONFIG`, or `~/.config/gcloud`.
    pub fn directory(&self) -> Option<PathBuf> {
        match self.variable("CLOUDSDK_CONFIG") {
            Some(path) => Some(self.0.working_dir.join(path)),
            None => Some(self.0.home_dir.as_ref()?.join(".config/gcloud")),
        }
    }

    /// The project of the active configuration, if any. Unreadable files are ignored.
    pub fn project(&self) -> Option<String> {
        if let Some(project) = self.variable("CLOUDSDK_CORE_PROJECT") {
            return Some(project.to_owned());
        }
        let directory = self.directory()?;
        let active = match self.variable("CLOUDSDK_ACTIVE_CONFIG_NAME") {
            Some(name) => name.to_owned(),
            None => read(&directory.join("active_config"))?,
        };
        let file = format!("configurations/config_{}", active.trim());
        let text = read(&directory.join(file))?;
        property(&text, "core", "project")
    }

    fn variable(&self, name: &str) -> Option<&str> {
        let value = self.0.env.get(name)?.as_str();
        (!value.is_empty()).then_some(value)
    }
}

fn read(file: &Path) -> Option<String> {
    hakube_input::read_text(file, hakube_input::SMALL).ok()
}

/// A property of a section; gcloud's configurations are INI files.
fn property(text: &str, section: &str, name: &str) -> Option<String> {
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            inside = header.strip_suffix(']') == Some(section);
            continue;
        }
        if let Some((key, value)) = line.split_once('=')
            && inside
            && key.trim() == name
        {
            let value = value.trim();
            return (!value.is_empty()).then(|| value.to_owned());
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn the_project_is_that_of_the_active_configuration() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join(".config/gcloud/configurations");
        std::fs::create_dir_all(&directory).unwrap();
        for (name, project) in [("work", "work-1"), ("play", "play-1")] {
            let text = format!("[core]\nproject = {project}\n");
            std::fs::write(directory.join(format!("config_{name}")), text).unwrap();
        }
        let project = |env: &[(&str, &str)]| {
            let sources = Sources {
                env: env
                    .iter()
                    .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                    .collect(),
                home_dir: Some(home.path().to_owned()),
                ..Sources::default()
            };
            Gcloud(&sources).project()
        };
        assert_eq!(project(&[]), None, "no configuration is active");
        std::fs::write(home.path().join(".config/gcloud/active_config"), "work\n").unwrap();
        assert_eq!(project(&[]).unwrap(), "work-1");
        let play = ("CLOUDSDK_ACTIVE_CONFIG_NAME", "play");
        assert_eq!(project(&[play]).unwrap(), "play-1");
        let core = ("CLOUDSDK_CORE_PROJECT", "core-1");
        assert_eq!(project(&[play, core]).unwrap(), "core-1");
        assert_eq!(project(&[("CLOUDSDK_CONFIG", "/nonexistent")]), None);
    }

    #[test]
    fn a_property_is_that_of_its_section() {
        let text = "[core]\naccount = ada@example.com\nproject = mine\n\n[other]\nproject=theirs\n";
        assert_eq!(property(text, "core", "project").unwrap(), "mine");
        assert_eq!(property(text, "other", "project").unwrap(), "theirs");
        assert_eq!(property(text, "compute", "project"), None);
        assert_eq!(
            property("[core]\n# project = x\nproject =\n", "core", "project"),
            None
        );
    }
}
