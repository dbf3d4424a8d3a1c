//! `bothy backup` and `bothy restore`: a box in one file, looked at where it lies, and put into another box.

use std::{
    fs::{File, OpenOptions},
    io::{BufReader, IsTerminal as _, Read as _},
    os::unix::fs::OpenOptionsExt as _,
};

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

use super::{
    client::Client,
    failure::Failure,
    names::list,
    onboard::sent_as,
    output::{Out, plain, say},
    secret::typed,
};
use crate::backup::{Found, is_clear, verify};

#[derive(Args)]
pub struct Passphrase {
    /// The passphrase is in this file; without it and --clear it is typed
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<Utf8PathBuf>,
}

#[derive(Subcommand)]
pub enum Backup {
    /// Make one of this box and write it to a file
    Create {
        file: Utf8PathBuf,
        /// configuration: what the box was told, and who it is. records: and packages, images, services. disks: and what is on
        /// guests' disks
        #[arg(long, default_value = "configuration", value_parser = ["configuration", "records", "disks"])]
        level: String,
        /// Only show what it would hold, and the room that it needs on the box
        #[arg(long)]
        plan: bool,
        #[command(flatten)]
        by: Passphrase,
        /// Not sealed: whoever has the file has keys, password hashes and secrets
        #[arg(long, conflicts_with = "passphrase_file")]
        clear: bool,
    },
    /// What a file says of itself; it is read to its end
    Show {
        file: Utf8PathBuf,
        #[command(flatten)]
        by: Passphrase,
    },
    /// Whether a file is whole: every entry against its digest
    Verify {
        file: Utf8PathBuf,
        #[command(flatten)]
        by: Passphrase,
    },
}

#[derive(Args)]
pub struct Restore {
    /// The backup; without it, the one that was sent last
    file: Option<Utf8PathBuf>,
    /// FILE is a path on the box (a stick), not here
    #[arg(long)]
    on_box: bool,
    #[command(flatten)]
    by: Passphrase,
    /// With --on-box: it is not sealed
    #[arg(long, conflicts_with = "passphrase_file", requires = "on_box")]
    clear: bool,
    /// Only show what would come of it: the box takes the backup in beside what it has
    #[arg(long, conflicts_with_all = ["yes", "insist"])]
    plan: bool,
    /// PORT of this box stands for OLD of the other one
    #[arg(long = "map", value_name = "OLD=PORT")]
    maps: Vec<String>,
    /// Also the other box's certificate and key: it is the same box, or gone for good
    #[arg(long)]
    identity: bool,
    /// Not its configuration's file
    #[arg(long)]
    keep_configuration: bool,
    /// Although not all of it fits
    #[arg(long)]
    insist: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// What is on the box to be restored, and where the box has come from
    #[arg(long, conflicts_with_all = ["file", "plan", "yes", "insist", "discard"])]
    status: bool,
    /// Throw away what was sent
    #[arg(long, conflicts_with_all = ["file", "plan", "yes", "insist"])]
    discard: bool,
}

const BACKUP: &str = "/bothy/v1/backup";
const RESTORE: &str = "/bothy/v1/restore";

impl Passphrase {
    fn read(&self, clear: bool) -> Result<Option<String>, Failure> {
        match &self.passphrase_file {
            None if clear => Ok(None),
            None => typed("passphrase of the backup").map(|t| Some(line(&t))),
            Some(f) => {
                let text = std::fs::read_to_string(f).map_err(|e| Failure::here(format!("cannot read {f}"), e))?;
                Ok(Some(line(&text)))
            }
        }
    }

    /// Of a file that lies here; one in the clear has none.
    fn of(&self, file: &Utf8Path) -> Result<Option<String>, Failure> {
        let mut head = [0; 64];
        let mut open = File::open(file).map_err(|e| Failure::here(format!("cannot read {file}"), e))?;
        let n = open.read(&mut head).map_err(|e| Failure::here(format!("cannot read {file}"), e))?;
        self.read(is_clear(&head[..n]))
    }
}

fn line(text: &str) -> String {
    text.trim_end_matches(['\r', '\n']).to_owned()
}

impl Backup {
    pub fn run(self, client: impl FnOnce() -> Result<Client, Failure>, out: &Out) -> Result<(), Failure> {
        match self {
            Backup::Create { file, level, plan, by, clear } => {
                let client = client()?;
                let outline = client.get(&format!("{BACKUP}?level={level}"))?;
                if plan {
                    if out.json {
                        out.value(&outline);
                    } else {
                        say!("{}", outlined(&outline));
                    }
                    return Ok(());
                }
                let passphrase = by.read(clear)?;
                // One that was mistyped would be missed when it is too late.
                if passphrase.is_some() && by.passphrase_file.is_none() && std::io::stdin().is_terminal() && by.read(clear)? != passphrase {
                    return Err(Failure::Usage("the two passphrases differ: nothing was made".into()));
                }
                if !out.json {
                    eprintln!("{}", outlined(&outline));
                }
                let body = json!({ "level": level, "passphrase": passphrase, "clear": clear });
                let bad = |e: std::io::Error| Failure::here(format!("cannot write {file}"), e);
                let mut to = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).map_err(bad)?;
                let made = client.download_of(BACKUP, &body, &mut to).and_then(|_| to.sync_all().map_err(bad));
                // What broke off is no backup; so it is looked at to its end.
                let found = made.and_then(|()| looked(&file, passphrase.as_deref()));
                let found = found.inspect_err(|_| drop(std::fs::remove_file(&file)))?;
                let text = format!("{file}: {} entries, {} bytes, verified", found.entries.len(), found.bytes());
                out.done(&shown(&found), &text);
                Ok(())
            }
            Backup::Show { file, by } => {
                let found = looked(&file, by.of(&file)?.as_deref())?;
                let v = shown(&found);
                if out.json {
                    out.value(&v);
                } else {
                    say!("{}", text(&v));
                }
                Ok(())
            }
            Backup::Verify { file, by } => {
                let found = looked(&file, by.of(&file)?.as_deref())?;
                out.done(&shown(&found), &format!("{file} is whole: {} entries, {} bytes", found.entries.len(), found.bytes()));
                Ok(())
            }
        }
    }
}

fn looked(file: &Utf8Path, passphrase: Option<&str>) -> Result<Found, Failure> {
    let open = File::open(file).map_err(|e| Failure::here(format!("cannot read {file}"), e))?;
    Ok(verify(BufReader::with_capacity(256 << 10, open), passphrase)?)
}

fn shown(f: &Found) -> Value {
    let m = &f.manifest;
    let nics: Vec<&str> = m.of.nics.iter().map(|n| n.name.as_str()).collect();
    json!({
        "level": m.level.name(), "release": m.release.as_str(), "host": m.of.host.as_str(), "by": m.by.as_str(), "made": m.made.0,
        "fingerprint": m.fingerprint.as_str(), "generation": m.generation, "dataDir": m.data_dir.as_str(), "ports": nics,
        "cpus": m.of.cpus, "memoryMib": m.of.memory_mib,
        "notFrozen": m.not_frozen.iter().map(smol_str::SmolStr::as_str).collect::<Vec<_>>(),
        "entries": f.entries.iter().map(|(name, bytes)| json!({ "name": name, "bytes": bytes })).collect::<Vec<_>>(),
    })
}

fn text(v: &Value) -> String {
    let mut lines = vec![
        format!(
            "level {} of {}, by bothy {}, store generation {}",
            plain(&v["level"]),
            plain(&v["host"]),
            plain(&v["release"]),
            plain(&v["generation"])
        ),
        format!("certificate {}", plain(&v["fingerprint"])),
        format!("{} CPUs, {} MiB, ports {}", plain(&v["cpus"]), plain(&v["memoryMib"]), plain(&v["ports"])),
    ];
    let rough = list(v, "notFrozen");
    if !rough.is_empty() {
        lines.push(format!("copied as after a loss of power, for no agent froze them: {}", plain(&v["notFrozen"])));
    }
    lines.extend(list(v, "entries").iter().map(|e| format!("  {:>14}  {}", plain(&e["bytes"]), plain(&e["name"]))));
    lines.join("\n")
}

fn outlined(o: &Value) -> String {
    let mut lines: Vec<String> =
        list(o, "holds").iter().map(|h| format!("{}: {}, {} bytes", plain(&h["what"]), plain(&h["count"]), plain(&h["bytes"]))).collect();
    lines.push(format!("the box needs {} bytes beside it while it is made", plain(&o["needsBytes"])));
    lines.extend(list(o, "waitsFor").iter().map(|w| format!("not now: {}", plain(w))));
    if o["noRoomBecause"].is_string() {
        lines.push(format!("no room: {}", plain(&o["noRoomBecause"])));
    }
    lines.join("\n")
}

impl Restore {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        if self.discard {
            client.delete(RESTORE)?;
            out.done(&json!({ "discarded": true }), "nothing is on the box to be restored");
            return Ok(());
        }
        if self.status {
            let now = client.get(RESTORE)?;
            if out.json {
                out.value(&now);
            } else {
                say!("{}", status(&now));
            }
            return Ok(());
        }
        if let Some(file) = &self.file {
            let passphrase = if self.on_box { self.by.read(self.clear)? } else { self.by.of(file)? };
            let mut open = json!({ "passphrase": passphrase });
            if self.on_box {
                open["path"] = file.as_str().into();
            } else {
                // Before it is sent anywhere.
                looked(file, passphrase.as_deref())?;
                let size = std::fs::metadata(file).map_err(|e| Failure::here(format!("cannot read {file}"), e))?.len();
                sent_as(client, Method::PUT, RESTORE, file, size, "application/octet-stream")?;
            }
            client.post(&format!("{RESTORE}/open"), &open)?;
        }
        let mut ask = self.ask()?;
        let plan = client.post(&format!("{RESTORE}/plan"), &ask)?.body;
        if self.plan {
            if out.json {
                out.value(&plan);
            } else {
                say!("{}", planned(&plan));
            }
            return Ok(());
        }
        if !self.yes {
            eprintln!("{}\n", planned(&plan));
            confirmed()?;
        }
        ask["token"] = plan["token"].clone();
        ask["insist"] = self.insist.into();
        let done = client.post(RESTORE, &ask)?.body;
        out.done(&done, "bothy starts anew as the other box; bothy restore --status, then bothy op list show how far it is");
        Ok(())
    }

    fn ask(&self) -> Result<Value, Failure> {
        let one = |m: &String| match m.split_once('=') {
            Some((from, to)) if !from.is_empty() && !to.is_empty() => Ok(json!({ "from": from, "to": to })),
            _ => Err(Failure::Usage(format!("--map {m}: OLD=PORT"))),
        };
        let maps = self.maps.iter().map(one).collect::<Result<Vec<_>, _>>()?;
        Ok(json!({ "maps": maps, "identity": self.identity, "keepConfiguration": self.keep_configuration }))
    }
}

fn confirmed() -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage("nobody is here to confirm it: look at --plan, then say --yes".into()));
    }
    eprint!("Type restore to do it: ");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|e| Failure::here("cannot read the answer", e))?;
    if line.trim() == "restore" { Ok(()) } else { Err(Failure::Here("nothing was done; the backup stays on the box (--discard)".into())) }
}

fn origin(o: &Value) -> String {
    format!(
        "a backup of {} (level {}, made {} by {}, certificate {})",
        plain(&o["host"]),
        plain(&o["level"]),
        plain(&o["made"]),
        plain(&o["by"]),
        plain(&o["fingerprint"])
    )
}

fn planned(p: &Value) -> String {
    let mut lines = vec![origin(&p["backup"])];
    let bound = list(p, "bound");
    if !bound.is_empty() {
        lines.push("ports:".to_owned());
        lines.extend(bound.iter().map(|b| format!("  - {} is {} here: {}", plain(&b["from"]), plain(&b["to"]), plain(&b["why"]))));
    }
    for (member, what) in [
        ("misfits", "does not fit (--insist restores all the same)"),
        ("goes", "goes from this box"),
        ("skipped", "is not taken over"),
        ("refusedBecause", "cannot be now"),
    ] {
        let all = list(p, member);
        if !all.is_empty() {
            lines.push(format!("{what}:"));
            lines.extend(all.iter().map(|l| format!("  - {}", plain(l))));
        }
    }
    lines.join("\n")
}

fn status(now: &Value) -> String {
    let mut lines = Vec::new();
    if now["staged"].is_object() {
        lines.push(format!("on this box, to be restored: {}", origin(&now["staged"])));
    }
    if now["orderedBy"].is_string() {
        lines.push(format!("ordered by {}", plain(&now["orderedBy"])));
    }
    if now["restoredFrom"].is_object() {
        lines.push(format!("this box has come from {}", origin(&now["restoredFrom"])));
    }
    if lines.is_empty() { "nothing is on this box to be restored, and it has come from no backup".to_owned() } else { lines.join("\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_tells_what_stands_for_what_and_what_does_not_fit() {
        let of = json!({"host": "a", "level": "disks", "made": "2026-11-30T12:00:00Z", "by": "ada", "fingerprint": "AB"});
        let p = json!({"backup": of, "bound": [{"from": "wan0", "to": "enp9", "why": "the same address"}],
            "misfits": ["web/0: node 0: no core"], "goes": [], "skipped": ["snapshots of VNFs"], "refusedBecause": []});
        let said = planned(&p);
        assert!(
            said.contains("  - wan0 is enp9 here: the same address\ndoes not fit (--insist restores all the same):\n  - web/0"),
            "{said}"
        );
        assert!(said.ends_with("is not taken over:\n  - snapshots of VNFs"), "{said}");
        assert!(status(&json!({})).contains("no backup"));
        assert!(status(&json!({"restoredFrom": of})).starts_with("this box has come from a backup of a (level disks"));
        let o =
            json!({"holds": [{"what": "disks", "count": 2, "bytes": 7}], "needsBytes": 9, "waitsFor": ["operation 1 (HEAL) is under way"]});
        assert_eq!(
            outlined(&o),
            "disks: 2, 7 bytes\nthe box needs 9 bytes beside it while it is made\nnot now: operation 1 (HEAL) is under way"
        );
    }
}
