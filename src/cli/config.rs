//! `bothy config show|check|apply`

use camino::Utf8PathBuf;
use clap::Subcommand;
use serde_json::Value;

use super::{
    client::Client,
    failure::Failure,
    output::{Out, plain},
};
use crate::config::LiveConfig;

#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Every key as the running daemon has it
    Show,
    /// Check a file, all faults at once; needs no daemon
    Check {
        file: Utf8PathBuf,
        /// Ask the daemon too, what the file would change
        #[arg(long)]
        diff: bool,
    },
    /// Make the daemon read its file again: all of it or nothing
    Apply,
}

impl ConfigCommand {
    pub fn run(self, client: impl FnOnce() -> Result<Client, Failure>, out: &Out) -> Result<(), Failure> {
        match self {
            ConfigCommand::Show => {
                let v = client()?.get("/bothy/v1/config")?;
                let rows = v["keys"].as_array().into_iter().flatten();
                let rows = rows.map(|k| ["key", "value", "apply"].map(|m| plain(&k[m])).to_vec()).collect();
                out.table(&v, &["KEY", "VALUE", "COUNTS"], rows);
            }
            ConfigCommand::Check { file, diff } => {
                LiveConfig::read(&file).map_err(|refusal| Failure::Here(format!("{file}: {refusal}")))?;
                if diff {
                    let text = std::fs::read_to_string(&file).map_err(|e| Failure::here(format!("cannot read {file}"), e))?;
                    let v = client()?.post_text("/bothy/v1/config/check", "application/toml", text)?.body;
                    out.done(&v, &outcome(&v, "would count at once", "would wait for a restart"));
                } else {
                    out.done(&Value::Null, &format!("{file}: no fault"));
                }
            }
            ConfigCommand::Apply => {
                let v = client()?.task("/bothy/v1/config/apply")?.body;
                out.done(&v, &outcome(&v, "counts now", "waits for a restart"));
            }
        }
        Ok(())
    }
}

fn outcome(v: &Value, live: &str, restart: &str) -> String {
    let lines = |member: &str, what: &str| -> Vec<String> {
        v[member].as_array().into_iter().flatten().map(|k| format!("{}: {what}", plain(k))).collect()
    };
    let all = [lines("live", live), lines("restart", restart)].concat();
    if all.is_empty() { "nothing changed".into() } else { all.join("\n") }
}
