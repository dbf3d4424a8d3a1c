//! `bothy desired`: what the owner has signed that the box shall be.

use camino::Utf8PathBuf;
use clap::Subcommand;
use hyper::Method;
use serde_json::Value;

use super::{
    client::Client,
    failure::Failure,
    names::list,
    onboard::sent_as,
    output::{Out, align, plain, say},
};

#[derive(Subcommand)]
pub enum Desired {
    /// Which document counts, who has signed it, and how far each thing in it is
    Status,
    /// Hand a signed document to the box (CMS, DER or PEM); it keeps it up from then on
    Apply { file: Utf8PathBuf },
    /// Have no document count any more, so that any version may come next; what runs stays as it is
    Forget,
}

const PATH: &str = "/bothy/v1/desired";

impl Desired {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        match self {
            Desired::Status => {
                let now = client.get(PATH)?;
                if out.json {
                    out.value(&now);
                } else {
                    say!("{}", status(&now));
                }
            }
            Desired::Forget => {
                client.delete(PATH)?;
                out.done(&Value::Null, "no desired state counts any more; what runs stays as it is");
            }
            Desired::Apply { file } => {
                let size = std::fs::metadata(&file).map_err(|e| Failure::here(format!("cannot read {file}"), e))?.len();
                let answer = sent_as(client, Method::PUT, PATH, &file, size, "application/cms")?;
                let now: Value = serde_json::from_slice(&answer).map_err(|e| Failure::here("the answer is not JSON", e))?;
                let version = plain(&now["document"]["version"]);
                out.done(&now, &format!("version {version} counts; bothy desired status tells how far it is"));
            }
        }
        Ok(())
    }
}

fn status(now: &Value) -> String {
    let d = &now["document"];
    let mut lines = Vec::new();
    if d.is_object() {
        let prunes = if d["prune"] == true { ", and what it does not name goes" } else { "" };
        let until = if d["notAfter"].is_string() { format!(", until {}", plain(&d["notAfter"])) } else { String::new() };
        lines.push(format!(
            "version {} signed by '{}', taken {} from {}{until}{prunes}",
            plain(&d["version"]),
            plain(&d["signer"]),
            plain(&d["taken"]),
            plain(&d["from"])
        ));
    } else {
        lines.push("no desired state".to_owned());
    }
    if now["held"].is_string() {
        lines.push(format!("nothing is done now: {}", plain(&now["held"])));
    }
    if now["pull"].is_object() {
        let failed = &now["pull"]["failed"];
        let how = if failed.is_string() { format!(", which failed the last time: {}", plain(failed)) } else { String::new() };
        lines.push(format!("newer ones come from {}{how}", plain(&now["pull"]["url"])));
    }
    let optional = |v: &Value| if v.is_null() { String::new() } else { plain(v) };
    let row =
        |i: &Value| vec![plain(&i["kind"]), plain(&i["name"]), plain(&i["state"]), optional(&i["operationId"]), optional(&i["reason"])];
    let rows: Vec<_> = list(now, "items").iter().map(row).collect();
    if !rows.is_empty() {
        lines.push(align(&["KIND", "NAME", "STATE", "OPERATION", "REASON"], &rows));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_status_tells_who_has_signed_and_how_far_it_is() {
        assert_eq!(status(&json!({"items": [], "held": "x"})), "no desired state\nnothing is done now: x");
        let now = json!({
            "document": {"version": 3, "signer": "owner", "fingerprint": "00", "taken": "T", "from": "ada", "prune": true},
            "pull": {"url": "https://a/b", "failed": "no answer"},
            "items": [{"kind": "SERVICE", "name": "s", "state": "FAILED", "reason": "no room", "operationId": "1"}],
        });
        assert_eq!(
            status(&now),
            "version 3 signed by 'owner', taken T from ada, and what it does not name goes\n\
             newer ones come from https://a/b, which failed the last time: no answer\n\
             KIND     NAME  STATE   OPERATION  REASON\n\
             SERVICE  s     FAILED  1          no room"
        );
    }
}
