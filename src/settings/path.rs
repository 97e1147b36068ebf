//! Paths as operators write them.

use super::parse::{Malformed, Parsed};
use std::path::{Path, PathBuf};

/// What a path may be relative to.
#[derive(Debug)]
pub struct Directories<'a> {
    /// What `~` stands for.
    pub home: Option<&'a Path>,
    /// What any other relative path is relative to.
    pub working: &'a Path,
}

impl Directories<'_> {
    /// Makes a path absolute, since the local cloud's daemon has a working directory of its own. `~` is
    /// expanded because env files are, when a shell reads them.
    pub fn resolve(&self, text: &str) -> Parsed<PathBuf> {
        let Some(rest) = text.strip_prefix('~') else {
            return Ok(self.working.join(text));
        };
        match (self.home, rest.strip_prefix('/')) {
            (Some(home), _) if rest.is_empty() => Ok(home.to_owned()),
            (Some(home), Some(rest)) => Ok(home.join(rest)),
            (None, _) => Err(Malformed::new("there is no home directory for its ~")),
            (_, None) => Err(Malformed::new("~ stands for your own home directory only")),
        }
    }

    /// Several paths, as in PATH. Empty ones are skipped, as kubectl does.
    pub fn resolve_list(&self, text: &str) -> Parsed<Vec<PathBuf>> {
        let paths: Vec<PathBuf> = text
            .split(':')
            .filter(|path| !path.is_empty())
            .map(|path| self.resolve(path))
            .collect::<Parsed<_>>()?;
        if paths.is_empty() {
            return Err(Malformed::new("there is no path in it"));
        }
        Ok(paths)
    }
}
