//! A conveyed configuration (TOML, as `bothy.toml`) laid over the one that is there.
//!
//! Tables are merged key by key; everything else, lists too, takes the place of what had its name. Whether the
//! outcome is a configuration is for `config` to say.

use toml::{Table, Value};

use super::conveyed::Handling;
use crate::model::error::{Fault, Result};

pub fn merged(there: &str, conveyed: &str, handling: Handling) -> Result<String> {
    match handling {
        Handling::Replace => Ok(conveyed.to_owned()),
        Handling::Merge => {
            let mut all = read("the configuration that is there", there)?;
            lay_over(&mut all, read("the conveyed configuration", conveyed)?);
            toml::to_string(&all).map_err(|e| Fault::bug("a merged configuration cannot be written").with_source(e))
        }
    }
}

fn read(what: &str, text: &str) -> Result<Table> {
    text.parse().map_err(|e: toml::de::Error| Fault::invalid(format!("{what} is no TOML: {}", e.message())))
}

fn lay_over(all: &mut Table, over: Table) {
    for (key, value) in over {
        match (all.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => lay_over(old, new),
            (_, value) => {
                all.insert(key, value);
            }
        }
    }
}
