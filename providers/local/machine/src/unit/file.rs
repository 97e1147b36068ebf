//! The syntax of unit files, after systemd.syntax(7): sections, assignments, comments, line continuation
//! with a backslash.

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub section: String,
    pub key: String,
    pub value: String,
}

/// Parses a unit file into assignments, with remarks on bad lines. Like systemd, it skips a bad line.
pub fn parse(text: &str) -> (Vec<Entry>, Vec<String>) {
    let mut entries = Vec::new();
    let mut remarks = Vec::new();
    let mut section = String::new();
    for (number, line) in logical_lines(text) {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = name.to_owned();
        } else if let Some((key, value)) = line.split_once('=') {
            if section.is_empty() {
                remarks.push(format!(
                    "line {number}: Assignment outside of section. Ignoring."
                ));
                continue;
            }
            entries.push(Entry {
                section: section.clone(),
                key: key.trim_end().to_owned(),
                value: value.trim().to_owned(),
            });
        } else {
            remarks.push(format!("line {number}: Missing '=', ignoring line."));
        }
    }
    (entries, remarks)
}

/// The lines without comments and blanks. Continued lines are joined: backslash and line end become one
/// space. A comment between them doesn't end the continuation.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, raw) in text.lines().enumerate() {
        let line = raw.trim();
        if line.starts_with(['#', ';']) {
            continue;
        }
        let (number, mut joined) = open.take().unwrap_or((index + 1, String::new()));
        if let Some(continued) = line.strip_suffix('\\') {
            joined.push_str(continued);
            joined.push(' ');
            open = Some((number, joined));
            continue;
        }
        joined.push_str(line);
        lines.push((number, joined));
    }
    lines.extend(open);
    lines.retain(|(_, line)| !line.trim().is_empty());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text)
            .0
            .into_iter()
            .map(|entry| (format!("{}.{}", entry.section, entry.key), entry.value))
            .collect()
    }

    /// The example of systemd.syntax(7), word for word.
    #[test]
    fn reads_the_manual_page_s_example() {
        let text = "[Section A]\nKeyOne=value 1\nKeyTwo=value 2\n\n# a comment\n\n[Section B]\n\
                    Setting=\"something\" \"some thing\" \"…\"\nKeyTwo=value 2 \\\n       value 2 continued\n\n\
                    [Section C]\nKeyThree=value 3\\\n# this line is ignored\n; this line is ignored too\n       \
                    value 3 continued\n";
        assert_eq!(
            pairs(text),
            [
                ("Section A.KeyOne", "value 1"),
                ("Section A.KeyTwo", "value 2"),
                ("Section B.Setting", "\"something\" \"some thing\" \"…\""),
                ("Section B.KeyTwo", "value 2  value 2 continued"),
                ("Section C.KeyThree", "value 3 value 3 continued"),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn keeps_later_equals_signs_and_remarks_on_bad_lines() {
        let (entries, remarks) = parse("Stray=1\n[Service]\n  Environment = A=b\nnonsense\n");
        assert_eq!(entries.len(), 1);
        assert_eq!(
            (entries[0].key.as_str(), entries[0].value.as_str()),
            ("Environment", "A=b")
        );
        assert_eq!(
            remarks,
            [
                "line 1: Assignment outside of section. Ignoring.",
                "line 4: Missing '=', ignoring line."
            ]
        );
    }
}
