//! Fills a directory with the artifacts that machines download, in the layout that `--mirror` expects.

use super::directory::{Directory, SUMS};
use super::download::{self, Download, Failure, Outcome};
use super::entry::Entry;
use super::images::{self, Archive, WantedImage};
use super::list::{Wanted, WantedProgram};
use super::registry;
use super::sums;
use super::tarball;
use hakube_error::{Error, Result};
use hakube_output::{Event, Reporter};
use std::path::Path;

/// Readable by all: web servers run as their own users.
const MODE: u32 = 0o644;

/// Fetches all artifacts into the directory, verifies them, and adds them to its lists. A failure
/// doesn't stop the others, unless files can't be written.
///
/// # Errors
/// Artifacts can't be fetched, all of which are reported; or a server's checksums can't be trusted.
pub async fn fetch(
    wanted: &Wanted,
    own_sums: Option<&Path>,
    root: &Path,
    reporter: &dyn Reporter,
) -> Result<()> {
    for program in &wanted.programs {
        sums::check_trusted(&program.url, own_sums)?;
    }
    if let Some(url) = &wanted.archives {
        sums::check_trusted(url, own_sums)?;
    }
    let mut fetching = Fetching {
        directory: Directory::open(root)?,
        own_sums,
        reporter,
        failures: Vec::new(),
        missing: Vec::new(),
        archives: wanted.archives.clone(),
        fetched: 0,
        there: 0,
    };
    let stopped = fetching.all(wanted).await.err();
    let sums_paths: Vec<String> = wanted
        .programs
        .iter()
        .filter(|program| fetching.directory.sum(&program.path).is_some())
        .map(|program| program.sums_path.clone())
        .collect();
    let gone = match (stopped, fetching.directory.write_lists(&sums_paths)) {
        // If the lists can't be written either, that adds nothing.
        (Some(error), _) | (None, Err(error)) => return Err(error),
        (None, Ok(gone)) => gone,
    };
    for path in gone {
        reporter.event(&Event::warning(format!(
            "{path} no longer exists, and was removed from {SUMS}"
        )));
    }
    fetching.outcome(root)
}

/// The state of a fetch.
struct Fetching<'a> {
    directory: Directory,
    own_sums: Option<&'a Path>,
    reporter: &'a dyn Reporter,
    /// Artifacts that could not be fetched, with the error.
    failures: Vec<(String, Error)>,
    /// Images that could not be fetched from anywhere, with the cause.
    missing: Vec<(WantedImage, String)>,
    /// The URL of image archives, if known.
    archives: Option<String>,
    fetched: usize,
    there: usize,
}

impl Fetching<'_> {
    /// Sequentially: serving several files at once is no faster.
    ///
    /// # Errors
    /// A file can't be written.
    async fn all(&mut self, wanted: &Wanted) -> Result<()> {
        for program in &wanted.programs {
            let what = describe(&program.entry());
            match self.sum_of(program).await {
                Ok(sha256) => {
                    self.file(&what, program.entry(), &program.url, sha256)
                        .await?;
                }
                Err(error) => self.failures.push((what, error)),
            }
        }
        self.images(wanted).await
    }

    async fn sum_of(&self, program: &WantedProgram) -> Result<String> {
        sums::of(&program.url, &program.sums_url, self.own_sums).await
    }

    async fn file(&mut self, what: &str, entry: Entry, url: &str, sha256: String) -> Result<()> {
        let path = self.directory.place(&entry.path)?;
        let download = Download {
            name: url.rsplit('/').next().unwrap_or(url),
            url,
            sha256: &sha256,
            path: &path,
            mode: MODE,
            token: None,
        };
        match download::file(&download, self.reporter).await {
            Ok(outcome) => {
                match outcome {
                    Outcome::WasThere => self.there += 1,
                    Outcome::Downloaded => self.fetched += 1,
                }
                self.directory.record(entry, sha256)
            }
            Err(Failure::Remote(error)) => {
                self.failures.push((what.to_owned(), error));
                Ok(())
            }
            Err(Failure::Here(mut error)) => {
                error.message = format!("{what}: {}", error.message);
                Err(error)
            }
        }
    }

    /// Archives come from a mirror that has them, otherwise images from their registries. Archives
    /// that an operator put into the directory are used as they are.
    async fn images(&mut self, wanted: &Wanted) -> Result<()> {
        let mut available: Vec<(String, Archive)> = Vec::new();
        if let Some(url) = &wanted.archives {
            match self.archives(url, wanted).await {
                Ok(archives) => {
                    available.extend(archives.into_iter().map(|archive| (url.clone(), archive)));
                }
                Err(error) => self.failures.push(("the list of images".to_owned(), error)),
            }
        }
        for (url, archive) in &available {
            let file = format!("{url}/{}", archive.file);
            let entry = images::entry(&archive.name, &archive.arch, file.clone());
            let what = describe(&entry);
            match self.sum_of_archive(&file, archive) {
                Ok(sha256) => self.file(&what, entry, &file, sha256).await?,
                Err(error) => self.failures.push((what, error)),
            }
        }
        let is_available = |image: &WantedImage| {
            available
                .iter()
                .any(|(_, archive)| archive.name == image.name)
        };
        for image in wanted.images.iter().filter(|image| !is_available(image)) {
            self.exported(image).await?;
        }
        Ok(())
    }

    /// The mirror's archives for the architecture. A mirror without a list has none.
    async fn archives(&self, url: &str, wanted: &Wanted) -> Result<Vec<Archive>> {
        let list = format!("{url}/{}", images::LIST);
        let Some(text) = sums::fetch_if_there(&list).await? else {
            return Ok(Vec::new());
        };
        let mut archives = images::parse(&list, &text)?;
        archives.retain(|archive| archive.arch == wanted.arch.name());
        Ok(archives)
    }

    fn sum_of_archive(&self, url: &str, archive: &Archive) -> Result<String> {
        match self.own_sums {
            Some(file) => sums::known(&file.display().to_string(), &sums::read(file)?, url),
            None => Ok(archive.sha256.clone()),
        }
    }

    /// Handles an archive that the operator exported into the directory.
    async fn exported(&mut self, image: &WantedImage) -> Result<()> {
        let path = self.directory.path(&image.path);
        let Some(sha256) = download::digest(&path).await else {
            return self.pull(image).await;
        };
        let entry = image.entry();
        let recorded = self.directory.sum(&image.path).map(str::to_owned);
        let problem = match &recorded {
            Some(before) if *before == sha256 => None,
            Some(before) => Some(format!("has the SHA-256 {sha256}, but {SUMS} has {before}")),
            None => tarball::check(&path, &image.name, image.arch.name()).err(),
        };
        if let Some(problem) = problem {
            let path = path.display();
            let command = images::export_command(image, &self.directory.path(""));
            let error = Error::failed(format!("could not use {path}"))
                .because(format!("it {problem}"))
                .hint(format!("export it again: rm {path}; {command}"));
            self.failures.push((describe(&entry), error));
            return Ok(());
        }
        if recorded.is_none() {
            self.reporter.event(&Event::note(format!(
                "{} was exported manually, and was added to {SUMS}",
                image.path
            )));
        }
        self.there += 1;
        if self.directory.has_entry(&image.path) {
            // The existing entry has a more precise origin.
            return Ok(());
        }
        self.directory.record(entry, sha256)
    }

    /// If a mirror is set, registries aren't used.
    async fn pull(&mut self, image: &WantedImage) -> Result<()> {
        if let Some(mirror) = &self.archives {
            let why = format!("{mirror} has no archive of it");
            self.missing.push((image.clone(), why));
            return Ok(());
        }
        let path = self.directory.place(&image.path)?;
        match registry::pull(&image.name, image.arch.name(), &path, self.reporter).await {
            Ok(()) => {
                self.fetched += 1;
                let sha256 = download::digest(&path).await.unwrap_or_default();
                self.directory.record(image.entry(), sha256)
            }
            Err(Failure::Remote(error)) => {
                self.missing.push((image.clone(), error.to_string()));
                Ok(())
            }
            Err(Failure::Here(mut error)) => {
                let what = describe(&image.entry());
                error.message = format!("{what}: {}", error.message);
                Err(error)
            }
        }
    }

    fn outcome(self, root: &Path) -> Result<()> {
        let Self {
            failures,
            missing,
            fetched,
            there,
            ..
        } = self;
        let root = root.display();
        if failures.is_empty() && missing.is_empty() {
            self.reporter.event(&Event::note(format!(
                "{root} is complete: {fetched} files fetched, {there} already existed. To serve it: hakube artifacts \
                 serve --directory {root}"
            )));
            return Ok(());
        }
        let lacking = failures.len() + missing.len();
        let all = lacking + fetched + there;
        let mut error = Error::failed(format!(
            "{lacking} of {all} artifacts are missing from {root}"
        ));
        for (what, failure) in failures {
            error.causes.push(format!("{what}: {failure}"));
            for hint in failure.hints {
                if !error.hints.contains(&hint) {
                    error.hints.push(hint);
                }
            }
        }
        for (image, why) in &missing {
            let what = describe(&image.entry());
            error.causes.push(format!("{what}: {why}"));
        }
        if !missing.is_empty() {
            error = error.hint(
                "export these images on a host that reaches their registries, then fetch again:",
            );
            let directory = self.directory.path("");
            let commands = missing
                .iter()
                .map(|(image, _)| images::export_command(image, &directory));
            error.hints.extend(commands);
        }
        error.hints.push(format!(
            "fetched files are kept; to fetch the rest, use the same settings: hakube artifacts fetch --directory {root}"
        ));
        Err(error)
    }
}

/// Such as `kubelet 1.36.3 (amd64)`.
fn describe(entry: &Entry) -> String {
    let Entry {
        name,
        version,
        arch,
        ..
    } = entry;
    format!("{name} {version} ({arch})")
}
