//! The wire format, and JSON from it by a schema.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::schema::{Cardinality, Field, Message, Type};

/// A field's content.
pub enum Wire<'a> {
    /// Integers and booleans.
    Varint(u64),
    /// Everything with a length.
    Bytes(&'a [u8]),
}

/// The fields of a message, with their numbers. Ends after the first error.
pub fn fields(mut rest: &[u8]) -> impl Iterator<Item = Result<(u64, Wire<'_>), String>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = next(&mut rest).ok_or_else(|| "it is not valid protobuf".to_owned());
        if field.is_err() {
            rest = &[];
        }
        Some(field)
    })
}

fn next<'a>(rest: &mut &'a [u8]) -> Option<(u64, Wire<'a>)> {
    let key = varint(rest)?;
    let content = match key & 7 {
        0 => Wire::Varint(varint(rest)?),
        2 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            let (bytes, tail) = rest.split_at_checked(length)?;
            *rest = tail;
            Wire::Bytes(bytes)
        }
        // Fixed-size numbers and groups: no Kubernetes type that is read here has any.
        _ => return None,
    };
    Some((key >> 3, content))
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Text must be UTF-8.
pub fn text(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| "a text in it is not UTF-8".to_owned())
}

/// A message as a JSON object.
pub fn decode(message: &Message, raw: &[u8]) -> Result<Value, String> {
    let mut object = Map::new();
    for field in fields(raw) {
        let (number, content) = field?;
        let field = message
            .fields
            .iter()
            .find(|field| field.number == number)
            .ok_or_else(|| {
                format!(
                    "field {number} of {} is not known to this stand-in",
                    message.name
                )
            })?;
        add(&mut object, field, &content)?;
    }
    Ok(Value::Object(object))
}

fn add(object: &mut Map<String, Value>, field: &Field, content: &Wire<'_>) -> Result<(), String> {
    match field.cardinality {
        Cardinality::One => {
            let value = convert(field, content)?;
            // Go writes empty texts and times where JSON has nothing.
            if !value.is_null() && value != "" {
                object.insert(field.name.to_owned(), value);
            }
        }
        Cardinality::Many => {
            let list = object.entry(field.name).or_insert_with(|| json!([]));
            if let Some(list) = list.as_array_mut() {
                list.push(convert(field, content)?);
            }
        }
        Cardinality::Map => {
            let Wire::Bytes(entry) = content else {
                return Err(mismatch(field));
            };
            let (mut key, mut value) = (String::new(), Value::from(""));
            for part in fields(entry) {
                match part? {
                    (1, Wire::Bytes(bytes)) => key = text(bytes)?,
                    (2, content) => value = convert(field, &content)?,
                    _ => return Err(mismatch(field)),
                }
            }
            object.entry(field.name).or_insert_with(|| json!({}))[key] = value;
        }
    }
    Ok(())
}

fn convert(field: &Field, content: &Wire<'_>) -> Result<Value, String> {
    Ok(match (field.kind, content) {
        (Type::Ignored, _) => Value::Null,
        (Type::Text, Wire::Bytes(bytes)) => text(bytes)?.into(),
        (Type::Bytes, Wire::Bytes(bytes)) => STANDARD.encode(bytes).into(),
        // Negative numbers are sign-extended to 64 bits.
        (Type::Int, Wire::Varint(number)) => number.cast_signed().into(),
        (Type::Bool, Wire::Varint(number)) => (*number != 0).into(),
        (Type::Time(format), Wire::Bytes(bytes)) => time(bytes, format)?,
        (Type::Message(message), Wire::Bytes(bytes)) => decode(message, bytes)?,
        _ => return Err(mismatch(field)),
    })
}

fn mismatch(field: &Field) -> String {
    format!("{} has the wrong type", field.name)
}

/// `Time` and `MicroTime`: seconds and nanoseconds, or nothing.
fn time(bytes: &[u8], format: &str) -> Result<Value, String> {
    let (mut seconds, mut nanos) = (0, 0);
    for field in fields(bytes) {
        match field? {
            (1, Wire::Varint(number)) => seconds = number.cast_signed(),
            (2, Wire::Varint(number)) => {
                nanos = i32::try_from(number).map_err(|error| error.to_string())?
            }
            _ => {}
        }
    }
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let time = jiff::Timestamp::new(seconds, nanos).map_err(|error| error.to_string())?;
    Ok(time.strftime(format).to_string().into())
}
