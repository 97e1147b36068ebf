//! Service accounts of instances. They have no credentials.

use serde_json::{Map, Value, json};

use crate::base::{ApiError, catalog};

/// Service accounts from a client: at most one, with the address of the default account in place of `default`,
/// as Compute Engine returns it.
pub fn checked(field: &str, accounts: Value) -> Result<Vec<Value>, ApiError> {
    let mut accounts: Vec<Map<String, Value>> =
        serde_json::from_value(accounts).map_err(|error| ApiError::invalid(field, "", error))?;
    accounts.retain(|account| !account.is_empty());
    if accounts.len() > 1 {
        let why = "At most one service account is allowed.";
        return Err(ApiError::invalid(field, accounts.len(), why));
    }
    for account in &mut accounts {
        let email = account.get("email").and_then(Value::as_str);
        let email = match email.unwrap_or_default() {
            "" | "default" => catalog::DEFAULT_SERVICE_ACCOUNT.to_owned(),
            other if other.contains('@') => other.to_owned(),
            other => {
                let why = "It must be `default` or the email address of a service account.";
                return Err(ApiError::invalid(&format!("{field}[0].email"), other, why));
            }
        };
        account.insert("email".into(), email.into());
        account.entry("scopes").or_insert_with(|| json!([]));
    }
    Ok(accounts.into_iter().map(Value::Object).collect())
}
