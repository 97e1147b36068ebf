//! Paths as operators write them.

use super::parse::{Malformed, Parsed};
use std::path::{Path, PathBuf};

/// The directories that a path may be relative to.
#[derive(Debug)]
pub struct Directories<'a> {
    /// The home directory, for `~`.
    pub home: Option<&'a Path>,
    /// The working directory, for other relative paths.
    pub working: &'a Path,
}

impl Directories<'_> {
    /// Makes a path absolute, since the local cloud's daemon has another working directory. `~` is
    /// expanded, as a shell does when it sources an env file.
    pub fn resolve(&self, text: &str) -> Parsed<PathBuf> {
        let path = self.absolute(text)?;
        if path.to_str().is_none() {
            return Err(Malformed::new(
                "it is relative to a directory whose path isn't valid UTF-8: use an absolute path",
            ));
        }
        Ok(path)
    }

    fn absolute(&self, text: &str) -> Parsed<PathBuf> {
        let Some(rest) = text.strip_prefix('~') else {
            return Ok(self.working.join(text));
        };
        match (self.home, rest.strip_prefix('/')) {
            (Some(home), _) if rest.is_empty() => Ok(home.to_owned()),
            (Some(home), Some(rest)) => Ok(home.join(rest)),
            (None, _) => Err(Malformed::new(
                "~ can't be expanded: there is no home directory",
            )),
            (_, None) => Err(Malformed::new("~ can only be your own home directory")),
        }
    }

    /// Several paths, separated as in PATH. Empty ones are skipped, as in kubectl.
    pub fn resolve_list(&self, text: &str) -> Parsed<Vec<PathBuf>> {
        let paths: Vec<PathBuf> = text
            .split(':')
            .filter(|path| !path.is_empty())
            .map(|path| self.resolve(path))
            .collect::<Parsed<_>>()?;
        if paths.is_empty() {
            return Err(Malformed::new("it contains no path"));
        }
        Ok(paths)
    }
}
