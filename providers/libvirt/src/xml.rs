//! Writes and reads XML for libvirt.

use crate::error::{Answer, Fault};
use hakube_provider::ErrorKind;
use quick_xml::se::Serializer;
use serde::Serialize;
use serde_json::Value;

/// Renders a document. Its content is in quick-xml's notation: a key is an element's name, `@key` an
/// attribute's, `$text` the element's text; an array is an element each, so an empty one is none.
pub(crate) fn document(root: &str, content: &Value) -> String {
    let mut xml = String::new();
    // It fails only if a name isn't valid in XML, and all names are constants.
    let _ = Serializer::with_root(&mut xml, Some(root)).and_then(|mut serializer| {
        serializer.indent(' ', 2);
        content.serialize(serializer)
    });
    // XML can't contain control characters, and a NUL would end the string in libvirt.
    xml.retain(|character| character == '\n' || !character.is_control());
    xml
}

/// Parses XML from libvirt.
pub(crate) fn parse(xml: &str) -> Answer<roxmltree::Document<'_>> {
    roxmltree::Document::parse(xml).map_err(|error| {
        Fault::new(
            ErrorKind::Fatal,
            format!("libvirt returned invalid XML: {error}"),
        )
    })
}

pub(crate) fn child<'a, 'input>(
    node: roxmltree::Node<'a, 'input>,
    name: &str,
) -> Option<roxmltree::Node<'a, 'input>> {
    node.children().find(|child| child.has_tag_name(name))
}

/// The first child of this name in this namespace.
pub(crate) fn child_in<'a, 'input>(
    node: roxmltree::Node<'a, 'input>,
    namespace: &str,
    name: &str,
) -> Option<roxmltree::Node<'a, 'input>> {
    node.children()
        .find(|child| child.has_tag_name((namespace, name)))
}

/// Follows a path of child names.
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
    use serde_json::json;

    #[test]
    fn written_xml_reads_back() {
        let hostile = "a<b>&'\"\u{0}c";
        let xml = document("a", &json!({"@b": hostile, "c": hostile, "d": []}));
        let document = parse(&xml).unwrap();
        let root = document.root_element();
        assert_eq!(root.attribute("b"), Some("a<b>&'\"c"));
        assert_eq!(child(root, "c").unwrap().text(), Some("a<b>&'\"c"));
        assert!(child(root, "d").is_none());
    }
}
