//! Edits the text of a kubeconfig only at hakube's entries. Comments, anchors, quotes, line ends
//! and everything else that a parser would lose are preserved.

use serde_json::Value;

use super::document::{CURRENT, Document, LISTS};
use super::yaml::{Content, Node, NotYaml, Tree};

/// Why a text can't be changed.
#[derive(Debug)]
pub(super) enum Unchangeable {
    /// It isn't YAML, before or after the change.
    NotYaml,
    /// The change would affect other entries.
    NotOnlyOurs,
}

impl From<NotYaml> for Unchangeable {
    fn from(_: NotYaml) -> Self {
        Self::NotYaml
    }
}

/// Changes the text from meaning `before` to meaning `after`. Common parts keep their text.
pub(super) fn apply(
    text: &str,
    before: &Document,
    after: &Document,
) -> Result<String, Unchangeable> {
    let mut now = text.to_owned();
    let mut touched = Vec::new();
    for list in LISTS {
        for old in before.entries(list) {
            let name = Document::name_of(old);
            match after.find(list, name) {
                Some(new) if new == old => continue,
                Some(new) => now = Text::of(&now)?.replace(list, name, new)?,
                None => {
                    while let Some(shorter) = Text::of(&now)?.remove(list, name)? {
                        now = shorter;
                    }
                }
            }
            touched.push((list, name.to_owned()));
        }
        for new in after.entries(list) {
            let name = Document::name_of(new);
            if before.find(list, name).is_none() {
                now = Text::of(&now)?.append(list, new)?;
                touched.push((list, name.to_owned()));
            }
        }
    }
    if before.current() != after.current() {
        now = Text::of(&now)?.set_current(after.current().unwrap_or_default())?;
    }
    let says = Document::new(Tree::parse(&now)?.value()?);
    let as_wanted = says.is_ok_and(|says| says.says_the_same(after));
    if !as_wanted || others(text, &touched)? != others(&now, &touched)? {
        return Err(Unchangeable::NotOnlyOurs);
    }
    Ok(now)
}

/// Everything but these entries and the current context, as written.
fn others(text: &str, touched: &[(&str, String)]) -> Result<Vec<(String, Value)>, NotYaml> {
    let tree = Tree::parse(text)?;
    let mut others = Vec::new();
    if let Some(root) = &tree.root
        && let Value::Object(top) = tree.written(root)?
    {
        let of_others = |key: &String| !LISTS.contains(&key.as_str()) && key != CURRENT;
        others.extend(top.into_iter().filter(|(key, _)| of_others(key)));
    }
    for list in LISTS {
        for entry in tree.items(list) {
            let name = tree.name_of(entry);
            if !touched.iter().any(|(l, n)| *l == list && *n == name) {
                others.push((list.to_owned(), tree.written(entry)?));
            }
        }
    }
    Ok(others)
}

/// A text and its tree.
struct Text<'a> {
    text: &'a str,
    tree: Tree,
    end_of_line: &'static str,
}

impl<'a> Text<'a> {
    fn of(text: &'a str) -> Result<Self, NotYaml> {
        Ok(Self {
            text,
            tree: Tree::parse(text)?,
            end_of_line: if text.contains("\r\n") { "\r\n" } else { "\n" },
        })
    }

    fn replace(&self, list: &str, name: &str, entry: &Value) -> Result<String, Unchangeable> {
        let items = self.tree.items(list);
        let index = items
            .iter()
            .position(|item| self.tree.name_of(item) == name);
        let index = index.ok_or(Unchangeable::NotOnlyOurs)?;
        Ok(match self.place(list, index) {
            Place::Lines { start, end, column } => {
                self.splice(start, end, &self.block(&[entry], column))
            }
            Place::Flow { start, end } => self.splice(start, end, &entry.to_string()),
            Place::Unknown => return Err(Unchangeable::NotOnlyOurs),
        })
    }

    /// `None` if there is none (left).
    fn remove(&self, list: &str, name: &str) -> Result<Option<String>, Unchangeable> {
        let items = self.tree.items(list);
        let index = items
            .iter()
            .position(|item| self.tree.name_of(item) == name);
        let Some(index) = index else { return Ok(None) };
        let is_only = items.len() == 1;
        Ok(Some(match self.place(list, index) {
            Place::Lines { start, end, .. } => {
                let without = self.splice(start, end, "");
                match self.tree.top(list).filter(|_| is_only) {
                    Some((key, _)) => {
                        let colon = self.text[key.end..].find(':').unwrap_or_default();
                        let at = key.end + colon + 1;
                        format!("{} []{}", &without[..at], &without[at..])
                    }
                    None => without,
                }
            }
            Place::Flow { start, end } => {
                // With the comma after it, or otherwise the one before it.
                let next = items.get(index + 1).map(|next| next.start);
                let before = index.checked_sub(1).and_then(|index| items.get(index));
                match (next, before) {
                    (Some(next), _) => self.splice(start, next, ""),
                    (None, Some(before)) => self.splice(before.end, end, ""),
                    (None, None) => self.splice(start, end, ""),
                }
            }
            Place::Unknown => return Err(Unchangeable::NotOnlyOurs),
        }))
    }

    fn append(&self, list: &str, entry: &Value) -> Result<String, Unchangeable> {
        let Some((key, node)) = self.tree.top(list) else {
            let inside = format!("{list:?}: [{entry}]");
            return Ok(self.add_key(&inside, |column| {
                let indent = " ".repeat(column);
                let eol = self.end_of_line;
                format!("{indent}{list}:{eol}{}", self.block(&[entry], column))
            }));
        };
        match &node.content {
            Content::Sequence { items, .. } if !items.is_empty() => {
                let last = items.len() - 1;
                Ok(match self.place(list, last) {
                    Place::Lines { end, column, .. } => {
                        self.splice(end, end, &self.block(&[entry], column))
                    }
                    Place::Flow { end, .. } => self.splice(end, end, &format!(", {entry}")),
                    Place::Unknown => return Err(Unchangeable::NotOnlyOurs),
                })
            }
            // An alias, a null or an empty list: the list's other entries, if any, as they are
            // written where the alias points to.
            _ if self.is_flow_root() => {
                let value = self.flow_list(node, entry)?;
                Ok(self.replace_value(key, node, &value))
            }
            Content::Alias(_) => {
                let value = self.flow_list(node, entry)?;
                Ok(self.replace_value(key, node, &value))
            }
            _ => {
                let block = self.block(&[entry], key.column);
                let block = block.trim_end();
                Ok(self.replace_value(key, node, &format!("{}{block}", self.end_of_line)))
            }
        }
    }

    fn set_current(&self, name: &str) -> Result<String, Unchangeable> {
        let value = scalar(name);
        match self.tree.top(CURRENT) {
            Some((key, node)) if !self.is_flow_root() => Ok(self.replace_value(key, node, &value)),
            Some((key, node)) => Ok(self.replace_value(key, node, &Value::from(name).to_string())),
            None => {
                let inside = format!("{CURRENT:?}: {}", Value::from(name));
                Ok(self.add_key(&inside, |column| {
                    format!(
                        "{}{CURRENT}: {value}{}",
                        " ".repeat(column),
                        self.end_of_line
                    )
                }))
            }
        }
    }

    /// Replaces the value after a key's colon.
    fn replace_value(&self, key: &Node, node: &Node, value: &str) -> String {
        let colon = self.text[key.end..].find(':').unwrap_or_default();
        let after = key.end + colon + 1;
        let space = if value.starts_with(['\r', '\n']) {
            ""
        } else {
            " "
        };
        if node.start == node.end {
            return self.splice(after, after, &format!("{space}{value}"));
        }
        // Keeps its anchor or tag before it.
        let start = node.start;
        let start =
            start - (self.text[after..start].len() - self.text[after..start].trim_end().len());
        self.splice(start, node.end, &format!("{space}{value}"))
    }

    /// A list in flow style: the items of an alias's target, and one more.
    fn flow_list(&self, node: &Node, entry: &Value) -> Result<String, Unchangeable> {
        let Content::Sequence { items, .. } = &self.tree.resolved(node).content else {
            return Ok(format!("[{entry}]"));
        };
        let mut all = items
            .iter()
            .map(|item| self.flow(item))
            .collect::<Option<Vec<_>>>()
            .ok_or(Unchangeable::NotOnlyOurs)?;
        all.push(entry.to_string());
        Ok(format!("[{}]", all.join(", ")))
    }

    /// A node in flow style, with scalars as written.
    fn flow(&self, node: &Node) -> Option<String> {
        if node.tag.is_some() {
            return None;
        }
        Some(match &self.tree.resolved(node).content {
            Content::Scalar { text, is_plain } => {
                let is_safe = |c: char| !c.is_control() && !",[]{}#:\"'&*!|>%@`".contains(c);
                if *is_plain && text.chars().all(is_safe) {
                    text.clone()
                } else {
                    Value::from(text.as_str()).to_string()
                }
            }
            Content::Sequence { items, .. } => {
                let items: Option<Vec<_>> = items.iter().map(|item| self.flow(item)).collect();
                format!("[{}]", items?.join(", "))
            }
            Content::Mapping { pairs, .. } => {
                let pair = |(key, value): &(Node, Node)| {
                    Some(format!("{}: {}", self.flow(key)?, self.flow(value)?))
                };
                let pairs: Option<Vec<_>> = pairs.iter().map(pair).collect();
                format!("{{{}}}", pairs?.join(", "))
            }
            Content::Alias(_) => return None,
        })
    }

    /// Adds a key at the end of the top level: in flow style, or as lines at the top's column.
    fn add_key(&self, inside: &str, lines: impl FnOnce(usize) -> String) -> String {
        match self.tree.root.as_ref() {
            Some(root) => match &root.content {
                Content::Mapping {
                    pairs,
                    is_flow: true,
                } => match pairs.last() {
                    Some((_, last)) => self.splice(last.end, last.end, &format!(", {inside}")),
                    None => self.splice(root.end - 1, root.end - 1, inside),
                },
                Content::Mapping { .. } => {
                    let at = self.end_of_line_at(root.end);
                    self.splice(at, at, &lines(root.column))
                }
                // Nothing follows `---`.
                _ => {
                    let at = self.end_of_line_at(root.end);
                    self.splice(at, at, &lines(0))
                }
            },
            None => self.splice(self.text.len(), self.text.len(), &lines(0)),
        }
    }

    fn is_flow_root(&self) -> bool {
        let root = self.tree.root.as_ref().map(|root| &root.content);
        matches!(root, Some(Content::Mapping { is_flow: true, .. }))
    }

    fn place(&self, list: &str, index: usize) -> Place {
        let Some((key, node)) = self.tree.top(list) else {
            return Place::Unknown;
        };
        let Content::Sequence { items, is_flow } = &node.content else {
            return Place::Unknown;
        };
        let Some(item) = items.get(index) else {
            return Place::Unknown;
        };
        if *is_flow {
            return Place::Flow {
                start: item.start,
                end: item.end,
            };
        }
        // Its dash: the first one at the start of a line after the preceding node.
        let before = match index.checked_sub(1).and_then(|index| items.get(index)) {
            Some(before) => self.end_of_line_at(before.end),
            None => self.end_of_line_at(key.end),
        };
        let mut start = before;
        for line in self.text[before..item.start.max(before)].split_inclusive('\n') {
            let content = line.trim_start_matches(' ');
            if content.starts_with('-') {
                return Place::Lines {
                    start,
                    end: self.end_of_line_at(item.end),
                    column: line.len() - content.len(),
                };
            }
            start += line.len();
        }
        Place::Unknown
    }

    /// The start of the line after the one at this offset.
    fn end_of_line_at(&self, place: usize) -> usize {
        if self.text[..place].ends_with('\n') {
            return place;
        }
        let rest = &self.text[place..];
        rest.find('\n')
            .map_or(self.text.len(), |end| place + end + 1)
    }

    /// Replaces a range of the text. Text that should start a line gets a line end before it if necessary.
    fn splice(&self, start: usize, end: usize, new: &str) -> String {
        let (before, after) = (&self.text[..start], &self.text[end..]);
        let is_lines = new.ends_with('\n');
        let eol = if is_lines && !before.is_empty() && !before.ends_with('\n') {
            self.end_of_line
        } else {
            ""
        };
        format!("{before}{eol}{new}{after}")
    }

    /// List entries as lines, with dashes at this column.
    fn block(&self, entries: &[&Value], column: usize) -> String {
        let mut lines = Vec::new();
        for entry in entries {
            let mut own = Vec::new();
            block_lines(entry, 0, &mut own);
            for (number, line) in own.iter().enumerate() {
                let lead = if number == 0 { "- " } else { "  " };
                lines.push(format!(
                    "{}{lead}{line}{}",
                    " ".repeat(column),
                    self.end_of_line
                ));
            }
        }
        lines.concat()
    }
}

/// An entry's place.
enum Place {
    /// On its own lines.
    Lines {
        start: usize,
        end: usize,
        /// The column of its dash.
        column: usize,
    },
    /// Between brackets.
    Flow { start: usize, end: usize },
    /// Not separately changeable.
    Unknown,
}

fn block_lines(value: &Value, indent: usize, lines: &mut Vec<String>) {
    let Value::Object(map) = value else {
        return lines.push(value.to_string());
    };
    for (key, value) in map {
        let lead = format!("{}{}:", " ".repeat(indent), scalar(key));
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                lines.push(lead);
                block_lines(value, indent + 2, lines);
            }
            Value::String(text) => lines.push(format!("{lead} {}", scalar(text))),
            // JSON is valid YAML.
            other => lines.push(format!("{lead} {other}")),
        }
    }
}

/// Text that every YAML parser interprets as a string: quoted, unless it can only be a word.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 12] = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity",
    ];
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/+=:@".contains(c);
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(plain)
        && !text.ends_with(':')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if is_word {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}
