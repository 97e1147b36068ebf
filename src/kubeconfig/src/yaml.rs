//! Parses a kubeconfig's text into a tree of nodes with their positions, like kubectl's parser: of
//! a duplicate key the last one counts, of several documents the first.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput, StructureStyle};
use serde_json::{Map, Value, json};

/// The maximum number of nodes that aliases expand to. A few hundred bytes of text can expand to billions.
const MOST_NODES: usize = 200_000;

/// Why a text isn't YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotYaml {
    /// From 1; 0 if unknown.
    pub line: u64,
    /// From 1; 0 if unknown.
    pub column: u64,
    /// The reason, without the surrounding text.
    pub reason: String,
}

/// A node and the range of its text, in bytes. Comments and line ends around it are outside.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub start: usize,
    pub end: usize,
    /// The column of its first line in a block.
    pub column: usize,
    pub tag: Option<String>,
    pub content: Content,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    Scalar {
        text: String,
        is_plain: bool,
    },
    Sequence {
        items: Vec<Node>,
        is_flow: bool,
    },
    Mapping {
        pairs: Vec<(Node, Node)>,
        is_flow: bool,
    },
    Alias(usize),
}

/// The first document of a text.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// `None` if there are only comments.
    pub root: Option<Node>,
    anchors: HashMap<usize, Node>,
}

impl Tree {
    pub fn parse(text: &str) -> Result<Self, NotYaml> {
        let options = granit_parser::options! { emit_comments: false };
        let mut builder = Builder {
            parser: Parser::new_from_str_with_options(text, options),
            anchors: HashMap::new(),
        };
        let root = loop {
            match builder.next()? {
                None | Some((Event::StreamEnd | Event::DocumentEnd, _)) => break None,
                Some((Event::StreamStart | Event::DocumentStart(..), _)) => {}
                Some(event) => break Some(builder.node(event)?),
            }
        };
        // Anything that follows on the same line, or at the wrong place, is an error of this document.
        builder.next()?;
        let anchors = builder.anchors;
        Ok(Self { root, anchors })
    }

    /// The node itself, or an alias's target.
    pub fn resolved<'a>(&'a self, node: &'a Node) -> &'a Node {
        match &node.content {
            Content::Alias(anchor) => self.anchors.get(anchor).unwrap_or(node),
            _ => node,
        }
    }

    /// The last pair with this key at the top level, excluding merged ones.
    pub fn top(&self, key: &str) -> Option<&(Node, Node)> {
        let Content::Mapping { pairs, .. } = &self.root.as_ref()?.content else {
            return None;
        };
        pairs.iter().rev().find(|(k, _)| k.is_key(key))
    }

    /// The items of a top-level list, if it is one.
    pub fn items(&self, list: &str) -> &[Node] {
        match self.top(list).map(|(_, list)| &self.resolved(list).content) {
            Some(Content::Sequence { items, .. }) => items,
            _ => &[],
        }
    }

    /// The name of a list's entry.
    pub fn name_of(&self, entry: &Node) -> String {
        let mut budget = MOST_NODES;
        match self.view(entry, View::Meaning, &mut budget) {
            Ok(Value::Object(entry)) => match entry.get("name") {
                Some(Value::String(name)) => name.clone(),
                _ => String::new(),
            },
            _ => String::new(),
        }
    }

    /// The document's value. Scalars are interpreted as numbers and the like only if every parser agrees.
    pub fn value(&self) -> Result<Value, NotYaml> {
        match &self.root {
            Some(root) => self.view(root, View::Meaning, &mut MOST_NODES.clone()),
            None => Ok(Value::Null),
        }
    }

    /// A node for comparison: scalars are kept as written, so that `0123` isn't `"0123"`.
    pub fn written(&self, node: &Node) -> Result<Value, NotYaml> {
        self.view(node, View::Writing, &mut MOST_NODES.clone())
    }

    fn view(&self, node: &Node, view: View, budget: &mut usize) -> Result<Value, NotYaml> {
        *budget = budget.checked_sub(1).ok_or_else(|| NotYaml {
            line: 0,
            column: 0,
            reason: "its aliases expand to too much".into(),
        })?;
        match &node.content {
            Content::Alias(anchor) => match self.anchors.get(anchor) {
                Some(target) => self.view(target, view, budget),
                None => Ok(Value::Null),
            },
            Content::Scalar { text, is_plain } => Ok(match view {
                View::Meaning => meaning(text, *is_plain && node.tag.is_none()),
                View::Writing => json!([node.tag, is_plain, text]),
            }),
            Content::Sequence { items, .. } => {
                let items = items.iter().map(|item| self.view(item, view, budget));
                items.collect::<Result<_, _>>().map(Value::Array)
            }
            Content::Mapping { pairs, .. } => self.mapping(pairs, view, budget),
        }
    }

    fn mapping(
        &self,
        pairs: &[(Node, Node)],
        view: View,
        budget: &mut usize,
    ) -> Result<Value, NotYaml> {
        let mut merged = Map::new();
        let mut own = Map::new();
        for (key, value) in pairs {
            let value = self.view(value, view, budget)?;
            match &self.resolved(key).content {
                Content::Scalar { text, is_plain } if *is_plain && text == "<<" => {
                    let maps = match value {
                        Value::Array(maps) => maps,
                        map => vec![map],
                    };
                    for map in maps {
                        let Value::Object(map) = map else { continue };
                        for (key, value) in map {
                            merged.entry(key).or_insert(value);
                        }
                    }
                }
                Content::Scalar { text, .. } => {
                    own.insert(text.clone(), value);
                }
                // kubectl refuses such keys.
                _ => {
                    let key = self.view(key, view, budget)?.to_string();
                    own.insert(key, value);
                }
            }
        }
        for (key, value) in merged {
            own.entry(key).or_insert(value);
        }
        Ok(Value::Object(own))
    }
}

#[derive(Clone, Copy)]
enum View {
    Meaning,
    Writing,
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn meaning(text: &str, is_plain: bool) -> Value {
    if !is_plain {
        return text.into();
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => true.into(),
        "false" | "False" | "FALSE" => false.into(),
        _ if text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => {
            match text.parse::<f64>() {
                Ok(number) if number.is_finite() => text
                    .parse::<i64>()
                    .map_or_else(|_| number.into(), Value::from),
                _ => text.into(),
            }
        }
        _ => text.into(),
    }
}

impl Node {
    fn is_key(&self, key: &str) -> bool {
        matches!(&self.content, Content::Scalar { text, .. } if text == key)
    }
}

struct Builder<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, NotYaml> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok(event)) => Ok(Some(event)),
            Some(Err(error)) => Err(NotYaml {
                line: count(error.marker().line()),
                column: count(error.marker().col() + 1),
                reason: error.info().to_string(),
            }),
        }
    }

    /// The node that begins with this event.
    fn node(&mut self, (event, span): (Event<'a>, Span)) -> Result<Node, NotYaml> {
        let range = span.byte_range().unwrap_or_default();
        let (content, anchor, tag, end) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == ScalarStyle::Plain;
                let text = text.into_owned();
                let content = Content::Scalar { text, is_plain };
                (content, anchor, tag, range.end)
            }
            Event::Alias(anchor) => (Content::Alias(anchor), 0, None, range.end),
            Event::SequenceStart(style, anchor, tag) => {
                let (items, end) = self.children(range.end, style)?;
                let is_flow = style == StructureStyle::Flow;
                (Content::Sequence { items, is_flow }, anchor, tag, end)
            }
            Event::MappingStart(style, anchor, tag) => {
                let (children, end) = self.children(range.end, style)?;
                let mut children = children.into_iter();
                let mut pairs = Vec::new();
                while let (Some(key), Some(value)) = (children.next(), children.next()) {
                    pairs.push((key, value));
                }
                let is_flow = style == StructureStyle::Flow;
                (Content::Mapping { pairs, is_flow }, anchor, tag, end)
            }
            other => {
                return Err(NotYaml {
                    line: count(span.start.line()),
                    column: count(span.start.col() + 1),
                    reason: format!("unexpected {other:?}"),
                });
            }
        };
        let node = Node {
            start: range.start,
            end,
            column: span.start.col(),
            tag: tag.map(|tag| tag.to_string()),
            content,
        };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    /// The nodes up to a collection's end, and that end. A block ends where its last node does.
    fn children(
        &mut self,
        start: usize,
        style: StructureStyle,
    ) -> Result<(Vec<Node>, usize), NotYaml> {
        let mut children: Vec<Node> = Vec::new();
        loop {
            match self.next()? {
                Some((Event::SequenceEnd | Event::MappingEnd, span)) => {
                    let end = match style {
                        StructureStyle::Flow => span.byte_range().unwrap_or_default().end,
                        StructureStyle::Block => children.last().map_or(start, |last| last.end),
                    };
                    return Ok((children, end));
                }
                Some(event) => children.push(self.node(event)?),
                None => return Ok((children, start)),
            }
        }
    }
}
