//! Reads settings one by one, recording values' origins and all errors.

use super::error::SettingError;
use super::origin::Origin;
use super::parse::{self, Malformed, Parsed};
use super::source::{Layers, Raw};
use super::table::{Default, Kind, Setting};
use serde::Serialize;

/// A setting's value as text, with its origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResolvedValue {
    /// The canonical variable.
    pub key: &'static str,
    /// The value; empty if unset.
    pub value: String,
    /// The value's origin.
    pub origin: Origin,
}

/// Reads each setting once.
///
/// Methods return `None` if there is no value, or an invalid one, which is recorded as an error.
/// The caller continues without it, so that all errors are reported at once.
#[derive(Debug)]
pub struct Reader<'a> {
    layers: &'a Layers,
    pub values: Vec<ResolvedValue>,
    pub errors: Vec<SettingError>,
}

impl<'a> Reader<'a> {
    pub fn new(layers: &'a Layers, errors: Vec<SettingError>) -> Self {
        Self {
            layers,
            values: Vec::new(),
            errors,
        }
    }

    /// Reads a setting, or its fixed default if it has one.
    pub fn read<T>(
        &mut self,
        setting: &'static Setting,
        parse: impl FnOnce(&str) -> Parsed<T>,
    ) -> Option<T> {
        self.derive(setting, parse, None)
    }

    /// Reads a setting, or a default derived from others. `None` if those are invalid.
    pub fn derive<T>(
        &mut self,
        setting: &'static Setting,
        parse: impl FnOnce(&str) -> Parsed<T>,
        derived: Option<String>,
    ) -> Option<T> {
        let raw = match self.layers.find(setting) {
            Ok(Some(raw)) => Some(raw),
            Ok(None) => default(setting, derived),
            Err(conflict) => {
                self.errors.push(*conflict);
                return None;
            }
        };
        self.values.push(ResolvedValue {
            key: setting.key,
            value: raw
                .as_ref()
                .map(|raw| raw.value.clone())
                .unwrap_or_default(),
            origin: raw.as_ref().map_or(Origin::Unset, |raw| raw.origin.clone()),
        });
        let parsed = match raw?.value.as_str() {
            "" => Err(Malformed::new("it is empty")),
            // Replacement characters would name another file.
            value if value.contains(char::REPLACEMENT_CHARACTER) => {
                Err(Malformed::new("it isn't valid UTF-8"))
            }
            value => parse(value),
        };
        parsed
            .map_err(|problem| self.object(setting, &problem.0))
            .ok()
    }

    pub fn boolean(&mut self, setting: &'static Setting) -> Option<bool> {
        self.read(setting, parse::boolean)
    }

    /// An integer within the table's bounds.
    pub fn integer<T: TryFrom<u64>>(&mut self, setting: &'static Setting) -> Option<T> {
        let (min, max) = bounds(setting.kind);
        self.read(setting, |text| {
            let number = parse::integer(text, min, max)?;
            T::try_from(number).map_err(|_| Malformed::new("it is out of range"))
        })
    }

    /// A size within the table's bounds.
    pub fn size_gb(&mut self, setting: &'static Setting) -> Option<u64> {
        let (min, max) = bounds(setting.kind);
        self.read(setting, |text| parse::size_gb(text, min, max))
    }

    /// One of the table's words.
    pub fn choice(&mut self, setting: &'static Setting, derived: Option<String>) -> Option<String> {
        self.derive(
            setting,
            |text| match setting.kind {
                Kind::Choice(words) if !words.contains(&text) => {
                    Err(Malformed::new("it isn't a valid choice"))
                }
                _ => Ok(text.to_owned()),
            },
            derived,
        )
    }

    /// Returns the operator's text of a setting that isn't read yet, for settings that default to each other.
    pub fn peek(&self, setting: &'static Setting) -> Option<String> {
        let raw = self.layers.find(setting).ok()??;
        raw.origin.is_given().then_some(raw.value)
    }

    /// Whether a flag sets a setting that isn't read yet.
    pub fn is_flag(&self, setting: &'static Setting) -> bool {
        matches!(
            self.layers.find(setting),
            Ok(Some(Raw {
                origin: Origin::Flag(_),
                ..
            }))
        )
    }

    /// The origin of a setting that was read.
    pub fn origin(&self, setting: &'static Setting) -> Origin {
        self.value(setting)
            .map_or(Origin::Unset, |value| value.origin.clone())
    }

    /// Whether there is no value, valid or invalid.
    pub fn is_unset(&self, setting: &'static Setting) -> bool {
        self.origin(setting) == Origin::Unset
    }

    /// Whether the operator gave the value.
    pub fn is_given(&self, setting: &'static Setting) -> bool {
        self.origin(setting).is_given()
    }

    /// The value with its origin in words, for another setting's error.
    pub fn quote(&self, setting: &'static Setting) -> String {
        match self.value(setting) {
            Some(value) => format!("{} ({}, {})", setting.key, value.value, value.origin),
            None => setting.key.to_owned(),
        }
    }

    /// Records a problem with a value that was read.
    pub fn object(&mut self, setting: &'static Setting, problem: &str) {
        self.object_with_form(setting, problem, setting.kind.form());
    }

    /// Records a problem with a well-formed value, with the form it should have.
    pub fn object_with_form(&mut self, setting: &'static Setting, problem: &str, valid: String) {
        let (value, origin) = self
            .value(setting)
            .map(|value| (value.value.clone(), value.origin.clone()))
            .unwrap_or((String::new(), Origin::Unset));
        self.errors.push(SettingError::Invalid {
            setting: setting.key,
            value,
            origin,
            problem: problem.to_owned(),
            valid,
        });
    }

    /// Records that a required setting isn't set.
    pub fn missing(&mut self, setting: &'static Setting, why: &str) {
        let mut names: Vec<&str> = setting.flag.into_iter().collect();
        names.extend(setting.variables());
        self.errors.push(SettingError::Missing {
            setting: setting.key,
            why: why.to_owned(),
            how: names.join(" or "),
            valid: setting.kind.form(),
        });
    }

    fn value(&self, setting: &'static Setting) -> Option<&ResolvedValue> {
        self.values.iter().find(|value| value.key == setting.key)
    }
}

fn default(setting: &'static Setting, derived: Option<String>) -> Option<Raw> {
    match setting.default {
        Default::Value(value) => Some(Raw {
            value: value.to_owned(),
            origin: Origin::Default,
        }),
        Default::Derived(from) => Some(Raw {
            value: derived?,
            origin: Origin::Derived(from),
        }),
        Default::Unset(_) => None,
    }
}

fn bounds(kind: Kind) -> (u64, u64) {
    match kind {
        Kind::Integer(min, max) | Kind::SizeGb(min, max) => (min, max),
        _ => (0, u64::MAX),
    }
}
