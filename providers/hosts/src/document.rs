//! Parses a machine's `cloud-config` document: the subset that hakube writes.
//!
//! Source: cloud-init's documentation of the modules `write_files` and `runcmd`.

use base64::Engine as _;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// A machine's files and commands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Document {
    /// The files, in order.
    pub(crate) files: Vec<File>,
    /// The commands to run once the files exist.
    pub(crate) commands: Vec<Vec<String>>,
    /// The document's SHA-256, in hexadecimal digits.
    sum: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) path: String,
    /// Permission bits.
    pub(crate) mode: u32,
    pub(crate) content: Vec<u8>,
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
    /// Parses a document.
    ///
    /// # Errors
    /// A message, if the document isn't in the subset.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let written: Written = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        let files = written.write_files.into_iter().map(|file| {
            if !is_plain(&file.path) {
                return Err(format!("{:?} isn't a valid file path", file.path));
            }
            let mode = u32::from_str_radix(&file.permissions, 8)
                .map_err(|error| format!("{}: permissions: {error}", file.path))?;
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
            sum: format!("{:x}", Sha256::digest(text)),
        })
    }

    /// The document's SHA-256, in hexadecimal digits.
    pub(crate) fn sum(&self) -> String {
        self.sum.clone()
    }
}

/// Whether the path fits on one line of a list and is already canonical.
fn is_plain(path: &str) -> bool {
    let mut parts = path.split('/');
    parts.next() == Some("")
        && parts.all(|part| !matches!(part, "" | "." | ".."))
        && !path.chars().any(char::is_control)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn modes_and_encodings_are_parsed() {
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
    fn unknown_keys_and_odd_paths_are_rejected() {
        assert!(Document::parse("write_files: []\npackages: [x]\n").is_err());
        for path in ["relative", "/a/../b", "/a//b", "/", "\"/a\\nb\""] {
            let text =
                format!("write_files: [{{path: {path}, permissions: '0600', content: x}}]\n");
            let error = Document::parse(&text).unwrap_err();
            assert!(error.contains("isn't a valid file path"), "{path}: {error}");
        }
        let odd = "write_files: [{path: /a, permissions: 'rw', content: x}]\n";
        assert!(
            Document::parse(odd)
                .unwrap_err()
                .contains("/a: permissions")
        );
        let odd = "write_files: [{path: /a, permissions: '0600', encoding: gzip, content: x}]\n";
        assert!(Document::parse(odd).unwrap_err().contains("gzip"));
    }
}
