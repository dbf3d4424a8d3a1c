//! `bothy audit`: every change and refusal, and whether the trail is whole. `bothy tls`: the certificate.

use camino::Utf8PathBuf;
use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    client::Client,
    failure::Failure,
    output::{Out, plain},
};

#[derive(Subcommand)]
pub enum Audit {
    /// The newest entries, newest first
    List {
        /// How many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Only those older than this entry
        #[arg(long, value_name = "SEQUENCE")]
        before: Option<u64>,
    },
    /// Follow the chain of hashes from end to end; exit code 1 if it is not whole
    Verify,
}

impl Audit {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        match self {
            Audit::List { limit, before } => {
                let before = before.map(|b| format!("&before={b}")).unwrap_or_default();
                let all = client.get(&format!("/bothy/v1/audit?limit={limit}{before}"))?;
                let keys = ["sequence", "time", "who", "source", "method", "path", "status", "operation", "why"];
                let row = |e: &Value| keys.iter().map(|k| plain(&e[*k])).collect();
                let rows = all.as_array().into_iter().flatten().map(row).collect();
                out.table(&all, &["SEQ", "TIME", "WHO", "SOURCE", "METHOD", "PATH", "STATUS", "OPERATION", "WHY"], rows);
                Ok(())
            }
            Audit::Verify => {
                let v = client.task("/bothy/v1/audit/verify")?.body;
                if v["whole"] != true {
                    return Err(Failure::Here(format!("the audit trail is not whole: {}", plain(&v["fault"]))));
                }
                let text = format!(
                    "the audit trail is whole: entries {} to {}; the newest has hash {}",
                    plain(&v["first"]),
                    plain(&v["last"]),
                    plain(&v["hash"])
                );
                out.done(&v, &text);
                Ok(())
            }
        }
    }
}

#[derive(Subcommand)]
pub enum Tls {
    /// Its fingerprint, and whose clients are believed
    Show,
    /// Put another pair in its place, without a restart
    Replace {
        /// PEM, the server's own certificate first
        certificate: Utf8PathBuf,
        /// PEM
        key_file: Utf8PathBuf,
    },
    /// Take the files of certificate, key, client CAs and revocation lists up anew
    Reload,
}

impl Tls {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        const PATH: &str = "/bothy/v1/tls";
        match self {
            Tls::Show => out.record(&client.get(PATH)?),
            Tls::Replace { certificate, key_file } => {
                let read = |f: &Utf8PathBuf| std::fs::read_to_string(f).map_err(|e| Failure::here(format!("cannot read {f}"), e));
                client.put(PATH, &json!({"certificate": read(&certificate)?, "key": read(&key_file)?}))?;
                out.done(&Value::Null, "the new certificate is shown from the next connection on");
            }
            Tls::Reload => out.record(&client.task("/bothy/v1/tls/reload")?.body),
        }
        Ok(())
    }
}
