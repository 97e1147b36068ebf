//! XML as libvirt writes and reads it.

use crate::error::{Answer, Fault};
use hakube_provider::ErrorKind;
use std::fmt::{Display, Write};

/// An element to be written.
#[derive(Debug, Clone)]
pub(crate) struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Text(String),
    Children(Vec<Element>),
}

impl Element {
    /// An empty element.
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            attributes: Vec::new(),
            content: Content::Children(Vec::new()),
        }
    }

    /// An element with text in it.
    pub(crate) fn text(name: &'static str, text: impl Display) -> Self {
        Self {
            content: Content::Text(text.to_string()),
            ..Self::new(name)
        }
    }

    /// With this attribute.
    pub(crate) fn with(mut self, name: &'static str, value: impl Display) -> Self {
        self.attributes.push((name, value.to_string()));
        self
    }

    /// With this element at the end.
    pub(crate) fn child(self, child: Element) -> Self {
        self.children([child])
    }

    /// With these elements at the end; in place of a text.
    pub(crate) fn children(mut self, more: impl IntoIterator<Item = Element>) -> Self {
        match &mut self.content {
            Content::Children(children) => children.extend(more),
            Content::Text(_) => self.content = Content::Children(more.into_iter().collect()),
        }
        self
    }

    /// As a document.
    pub(crate) fn render(&self) -> String {
        let mut out = String::new();
        self.write(0, &mut out);
        out
    }

    fn write(&self, depth: usize, out: &mut String) {
        let indent = "  ".repeat(depth);
        let _ = write!(out, "{indent}<{}", self.name);
        for (name, value) in &self.attributes {
            let _ = write!(out, " {name}='{}'", escaped(value));
        }
        match &self.content {
            Content::Children(children) if children.is_empty() => out.push_str("/>\n"),
            Content::Children(children) => {
                out.push_str(">\n");
                for child in children {
                    child.write(depth + 1, out);
                }
                let _ = writeln!(out, "{indent}</{}>", self.name);
            }
            Content::Text(text) => {
                let _ = writeln!(out, ">{}</{}>", escaped(text), self.name);
            }
        }
    }
}

/// Control characters can't be in XML at all, and a NUL would end the string on its way to libvirt.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&apos;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            character if character.is_control() => {}
            character => out.push(character),
        }
    }
    out
}

/// What libvirt wrote.
pub(crate) fn parse(xml: &str) -> Answer<roxmltree::Document<'_>> {
    roxmltree::Document::parse(xml).map_err(|error| {
        Fault::new(
            ErrorKind::Fatal,
            format!("libvirt wrote a description that isn't XML: {error}"),
        )
    })
}

/// The first child of that name.
pub(crate) fn child<'a, 'input>(
    node: roxmltree::Node<'a, 'input>,
    name: &str,
) -> Option<roxmltree::Node<'a, 'input>> {
    node.children().find(|child| child.has_tag_name(name))
}

/// The first child of that name in that namespace.
pub(crate) fn child_in<'a, 'input>(
    node: roxmltree::Node<'a, 'input>,
    namespace: &str,
    name: &str,
) -> Option<roxmltree::Node<'a, 'input>> {
    node.children()
        .find(|child| child.has_tag_name((namespace, name)))
}

/// Down a path of children.
pub(crate) fn descend<'a, 'input>(
    node: roxmltree::Node<'a, 'input>,
    path: &[&str],
) -> Option<roxmltree::Node<'a, 'input>> {
    path.iter().try_fold(node, |node, name| child(node, name))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_the_same() {
        let hostile = "a<b>&'\"\u{0}c";
        let xml = Element::new("a")
            .with("b", hostile)
            .child(Element::text("c", hostile))
            .render();
        let document = parse(&xml).unwrap();
        let root = document.root_element();
        assert_eq!(root.attribute("b"), Some("a<b>&'\"c"));
        assert_eq!(child(root, "c").unwrap().text(), Some("a<b>&'\"c"));
    }
}
