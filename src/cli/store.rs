//! `bothy store`: by the daemon while one runs; with --data-dir the folder itself, while none does.

use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt as _};

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    client::Client,
    failure::Failure,
    guests,
    names::list,
    output::{Out, plain},
};
use crate::store::{Options, Store};

#[derive(Args)]
pub struct Where {
    /// Not by the daemon: open the store in this data_dir, while no daemon runs
    #[arg(long, value_name = "PATH")]
    data_dir: Option<Utf8PathBuf>,
}

fn open(data_dir: &Utf8PathBuf) -> Result<Store, Failure> {
    let dir = data_dir.join("store");
    if !dir.exists() {
        return Err(Failure::Here(format!("there is no store in {dir}")));
    }
    Ok(Store::open(dir, Options::default())?)
}

#[derive(Subcommand)]
pub enum StoreCommand {
    /// What its files hold, and what it has done since the daemon was started
    Show,
    /// Read every record and count it against the tallies
    Verify {
        #[command(flatten)]
        at: Where,
    },
    /// Write the whole store to one file; the key of its secrets is not part of it
    Export {
        file: Utf8PathBuf,
        #[command(flatten)]
        at: Where,
    },
    /// Say that you have looked at what a restored store does not know: from then on it removes what it made and no longer names
    Acknowledge {
        /// Only show what would stay and what would be removed
        #[arg(long)]
        plan: bool,
    },
    /// Put an export in place of the store, as a new generation; the old one is set aside. Only while no daemon runs
    Import {
        file: Utf8PathBuf,
        /// The daemon's data_dir
        #[arg(long, default_value = "/var/lib/bothy", value_name = "PATH")]
        data_dir: Utf8PathBuf,
    },
}

impl StoreCommand {
    pub fn run(self, client: impl FnOnce() -> Result<Client, Failure>, out: &Out) -> Result<(), Failure> {
        match self {
            StoreCommand::Show => {
                let raw = client()?.get("/bothy/v1/store")?;
                const ALL: [&str; 6] = ["database", "liveBytes", "fileBytes", "transactions", "barriers", "compactions"];
                let rows = list(&raw, "databases").iter().map(|d| ALL.map(|m| plain(&d[m])).to_vec()).collect();
                out.table(&raw, &["DATABASE", "LIVE BYTES", "FILE BYTES", "TRANSACTIONS", "BARRIERS", "COMPACTIONS"], rows);
                Ok(())
            }
            StoreCommand::Verify { at } => {
                let raw = match &at.data_dir {
                    Some(dir) => {
                        let report = open(dir)?.verify()?;
                        let table = report.tables.iter().map(|t| json!({ "database": t.database, "table": t.table, "records": t.records }));
                        json!({ "sound": report.is_sound(), "tables": table.collect::<Vec<_>>(), "problems": report.problems })
                    }
                    None => client()?.task("/bothy/v1/store/verify")?.body,
                };
                let rows = list(&raw, "tables").iter().map(|t| ["database", "table", "records"].map(|m| plain(&t[m])).to_vec()).collect();
                out.table(&raw, &["DATABASE", "TABLE", "RECORDS"], rows);
                if raw["sound"] == true {
                    return Ok(());
                }
                Err(Failure::Many { detail: "the store is damaged".into(), reasons: list(&raw, "problems").iter().map(plain).collect() })
            }
            StoreCommand::Export { file, at } => {
                match &at.data_dir {
                    Some(dir) => open(dir)?.export(&file)?,
                    None => {
                        let bad = |e: std::io::Error| Failure::here(format!("cannot write {file}"), e);
                        let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).map_err(bad)?;
                        let sent = client().and_then(|c| c.download_made("/bothy/v1/store/export", &mut to));
                        if let Err(f) = sent {
                            let _ = std::fs::remove_file(&file);
                            return Err(f);
                        }
                        to.sync_all().map_err(bad)?;
                    }
                }
                out.done(
                    &json!({ "file": file }),
                    &format!("exported to {file}; seal.key, which opens the secrets in it, is not part of it"),
                );
                Ok(())
            }
            StoreCommand::Acknowledge { plan } => {
                let (client, path) = (client()?, "/bothy/v1/store/acknowledge");
                guests::strays(&if plan { client.get(path)? } else { client.task(path)?.body }, plan, out);
                Ok(())
            }
            StoreCommand::Import { file, data_dir } => {
                let generation = Store::import(&file, data_dir.join("store"))?;
                out.done(&json!({ "generation": generation }), &format!("imported {file} as generation {generation}"));
                Ok(())
            }
        }
    }
}
