//! Fills a directory with what machines download, laid out as `--mirror` wants it.

use super::directory::{Directory, SUMS};
use super::download::{self, Download, Failure, Outcome};
use super::images::{self, Archive};
use super::list::{Entry, Wanted, WantedImage, WantedProgram};
use super::registry;
use super::sums;
use super::tarball;
use crate::error::{Error, Result};
use crate::output::{Event, Reporter};
use std::path::Path;

/// Web servers run as users of their own.
const MODE: u32 = 0o644;

/// Everything that is wanted is in the directory, verified, and in its lists. What fails doesn't keep the rest from
/// being fetched, unless nothing can be written.
///
/// # Errors
/// Something can't be had, and all that can't is named; nothing vouches for what a server says.
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
        // That the lists can't be written, either, is no news then.
        (Some(error), _) | (None, Err(error)) => return Err(error),
        (None, Ok(gone)) => gone,
    };
    for path in gone {
        reporter.event(&Event::warning(format!(
            "{path} is no longer there, and {SUMS} no longer has it"
        )));
    }
    fetching.outcome(root)
}

/// Where fetching is.
struct Fetching<'a> {
    directory: Directory,
    own_sums: Option<&'a Path>,
    reporter: &'a dyn Reporter,
    /// What can't be had, and why.
    failures: Vec<(String, Error)>,
    /// Images that nobody has, and why.
    missing: Vec<(WantedImage, String)>,
    /// Where archives of images are, if that is known.
    archives: Option<String>,
    fetched: usize,
    there: usize,
}

impl Fetching<'_> {
    /// One after another: a server that serves many at once is no quicker for it.
    ///
    /// # Errors
    /// Nothing can be written.
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

    /// Archives come from a mirror that has them, else images from their registries. Archives that an operator put there
    /// are taken as they are.
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

    /// Those of the mirror for the architecture. A mirror without a list has none.
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

    /// An archive that the operator exported into the directory.
    async fn exported(&mut self, image: &WantedImage) -> Result<()> {
        let path = self.directory.path(&image.path);
        let Some(sha256) = download::digest(&path).await else {
            return self.pull(image).await;
        };
        let entry = image.entry();
        let recorded = self.directory.sum(&image.path).map(str::to_owned);
        let problem = match &recorded {
            Some(before) if *before == sha256 => None,
            Some(before) => Some(format!("has the SHA-256 {sha256}, and {SUMS} has {before}")),
            None => tarball::check(&path, &image.name, image.arch.name()).err(),
        };
        if let Some(problem) = problem {
            let path = path.display();
            let command = images::export_command(image, &self.directory.path(""));
            let error = Error::failed(format!("{path} can't be used"))
                .because(format!("it {problem}"))
                .hint(format!("export it again: rm {path}; {command}"));
            self.failures.push((describe(&entry), error));
            return Ok(());
        }
        if recorded.is_none() {
            self.reporter.event(&Event::note(format!(
                "{} was exported by hand, and is now in {SUMS}",
                image.path
            )));
        }
        self.there += 1;
        if self.directory.has_entry(&image.path) {
            // It knows better where that came from.
            return Ok(());
        }
        self.directory.record(entry, sha256)
    }

    /// Whoever names a mirror has nobody else asked.
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
                "{root} has everything: {fetched} files fetched, {there} were there. Serve it by: hakube artifacts \
                 serve --directory {root}"
            )));
            return Ok(());
        }
        let lacking = failures.len() + missing.len();
        let all = lacking + fetched + there;
        let mut error = Error::failed(format!("{root} lacks {lacking} of {all} artifacts"));
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
            error = error
                .hint("export these images where their registries are reached, then fetch again:");
            let directory = self.directory.path("");
            let commands = missing
                .iter()
                .map(|(image, _)| images::export_command(image, &directory));
            error.hints.extend(commands);
        }
        error.hints.push(format!(
            "what was fetched stays; fetch the rest with the same settings: hakube artifacts fetch --directory {root}"
        ));
        Err(error)
    }
}

/// Such as `kubelet 1.36.0 (amd64)`.
fn describe(entry: &Entry) -> String {
    let Entry {
        name,
        version,
        arch,
        ..
    } = entry;
    format!("{name} {version} ({arch})")
}
