//! `bothy secret`: values that day-0 templates read as `secrets.NAME`. They are never read back.

use std::io::{IsTerminal as _, Read as _, Write as _, stdin};

use camino::Utf8PathBuf;
use clap::Subcommand;
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use serde_json::{Value, json};

use super::{
    client::Client,
    failure::Failure,
    output::{Out, plain},
};

const SECRETS: &str = "/bothy/v1/secrets";

#[derive(Subcommand)]
pub enum Secret {
    /// Set one; the value is typed without an echo, or read from stdin or a file, and is never an argument
    Set {
        name: String,
        #[arg(long, value_name = "FILE")]
        file: Option<Utf8PathBuf>,
    },
    /// Their names
    List,
    Delete {
        name: String,
    },
}

impl Secret {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        match self {
            Secret::Set { name, file } => {
                let path = path(&name)?;
                let value = match file {
                    Some(f) => std::fs::read_to_string(&f).map_err(|e| Failure::here(format!("cannot read {f}"), e))?,
                    None => typed(&format!("value of {name}"))?,
                };
                // The line end belongs to the file, not to the secret.
                let value = value.strip_suffix('\n').unwrap_or(&value);
                if value.is_empty() {
                    return Err(Failure::Usage("the value is empty".into()));
                }
                client.put(&path, &json!({ "value": value }))?;
                out.done(&Value::Null, &format!("secret {name} is set"));
            }
            Secret::List => {
                let all = client.get(SECRETS)?;
                let rows = all.as_array().into_iter().flatten().map(|s| vec![plain(&s["name"])]).collect();
                out.table(&all, &["NAME"], rows);
            }
            Secret::Delete { name } => {
                client.delete(&path(&name)?)?;
                out.done(&Value::Null, &format!("secret {name} is gone"));
            }
        }
        Ok(())
    }
}

fn path(name: &str) -> Result<String, Failure> {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !plain {
        return Err(Failure::Usage(format!("'{name}' is no name of a secret: letters, digits and '_' only")));
    }
    Ok(format!("{SECRETS}/{name}"))
}

/// From the terminal without an echo, or all of stdin.
pub fn typed(what: &str) -> Result<String, Failure> {
    let bad = |e: std::io::Error| Failure::here("cannot read the value", e);
    let mut value = String::new();
    if !stdin().is_terminal() {
        stdin().read_to_string(&mut value).map_err(bad)?;
        return Ok(value);
    }
    eprint!("{what}: ");
    let _ = std::io::stderr().flush();
    let before = tcgetattr(stdin()).map_err(|e| bad(e.into()))?;
    let mut silent = before.clone();
    silent.local_flags.remove(LocalFlags::ECHO);
    tcsetattr(stdin(), SetArg::TCSANOW, &silent).map_err(|e| bad(e.into()))?;
    let read = stdin().read_line(&mut value);
    let restored = tcsetattr(stdin(), SetArg::TCSANOW, &before);
    eprintln!();
    read.map_err(bad)?;
    restored.map_err(|e| bad(e.into()))?;
    Ok(value)
}
