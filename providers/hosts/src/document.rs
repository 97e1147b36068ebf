//! The `cloud-config` document of a machine, read back: the subset that hakube writes.
//!
//! Source: cloud-init's documentation of the modules `write_files` and `runcmd`.

use base64::Engine as _;
use serde::Deserialize;

/// What a machine is made of.
#[derive(Debug, PartialEq, Eq)]
pub struct Document {
    /// Its files, in their order.
    pub files: Vec<File>,
    /// The commands that are run once they are there.
    pub commands: Vec<Vec<String>>,
}

/// A file.
#[derive(Debug, PartialEq, Eq)]
pub struct File {
    /// Where it goes.
    pub path: String,
    /// Its permission bits.
    pub mode: u32,
    /// What is in it.
    pub content: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    write_files: Vec<WrittenFile>,
    #[serde(default)]
    runcmd: Vec<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFile {
    path: String,
    permissions: String,
    encoding: Option<String>,
    content: String,
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// In words: it isn't of the subset.
    pub fn parse(text: &str) -> Result<Self, String> {
        let written: Written = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        let files = written.write_files.into_iter().map(|file| {
            let mode = u32::from_str_radix(&file.permissions, 8)
                .map_err(|error| format!("{}: {error}", file.path))?;
            let content = match file.encoding.as_deref() {
                None => file.content.into_bytes(),
                Some("b64") => base64::engine::general_purpose::STANDARD
                    .decode(file.content.trim())
                    .map_err(|error| format!("{}: {error}", file.path))?,
                Some(other) => return Err(format!("{}: unknown encoding {other}", file.path)),
            };
            Ok(File {
                path: file.path,
                mode,
                content,
            })
        });
        Ok(Self {
            files: files.collect::<Result<_, _>>()?,
            commands: written.runcmd,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_with_their_modes_and_encodings() {
        let document = Document::parse(
            "#cloud-config\nwrite_files:\n- path: /a\n  permissions: \"0600\"\n  content: |\n    text\n\
             - path: /b\n  permissions: \"0755\"\n  encoding: b64\n  content: aGVsbG8=\nruncmd:\n- [sync]\n",
        )
        .unwrap();
        assert_eq!(document.files[0].mode, 0o600);
        assert_eq!(document.files[0].content, b"text\n");
        assert_eq!(document.files[1].content, b"hello");
        assert_eq!(document.commands, [["sync"]]);
    }

    #[test]
    fn what_would_be_ignored_is_refused() {
        assert!(Document::parse("write_files: []\npackages: [x]\n").is_err());
    }
}
