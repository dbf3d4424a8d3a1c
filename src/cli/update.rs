//! `bothy update`: the box's own system.

use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use clap::Subcommand;
use hyper::Method;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::{
    client::Client,
    failure::Failure,
    host,
    names::list,
    onboard::sent_as,
    output::{Out, plain, say},
};

#[derive(Subcommand)]
pub enum UpdateCommand {
    /// Which system runs, how far an update is, and which versions failed
    Status,
    /// Write a bundle to the other slot, restart into it, and keep it when it is sound
    Install(Install),
    /// Call an update off before it is tried; on trial: back to the old system now
    Rollback,
}

#[derive(clap::Args)]
pub struct Install {
    /// The bundle (*.raucb), or the https URL from which the box fetches it
    file: Utf8PathBuf,
    /// FILE is a path on the box (a stick), not here
    #[arg(long)]
    on_box: bool,
    /// Try a version once more that failed before
    #[arg(long)]
    again: bool,
    /// Seconds that operations under way have to end; without it the update is refused while there are any
    #[arg(long, value_name = "SECONDS")]
    drain: Option<u32>,
    /// Leave the restart to somebody else: the next one tries the update
    #[arg(long)]
    no_restart: bool,
    /// Come back as soon as the bundle is on the box
    #[arg(long)]
    no_wait: bool,
    /// Seconds to wait for the end
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    timeout: u64,
}

const PATH: &str = "/bothy/v1/host/update";
const LOOK: Duration = Duration::from_millis(500);

impl UpdateCommand {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        match self {
            UpdateCommand::Status => {
                let now = client.get(PATH)?;
                if out.json {
                    out.value(&now);
                } else {
                    say!("{}", status(&now));
                }
                Ok(())
            }
            UpdateCommand::Install(i) => i.run(client, out),
            UpdateCommand::Rollback => {
                client.delete(PATH)?;
                let now = client.get(PATH)?;
                let text = match now["update"]["state"].as_str() {
                    Some("ON_TRIAL") => "the box goes back to the old system now",
                    _ => "the update is called off",
                };
                out.done(&now, text);
                Ok(())
            }
        }
    }
}

impl Install {
    fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        let is_url =
            ["https", "http"].iter().any(|s| self.file.as_str().split_once("://").is_some_and(|(of, _)| of.eq_ignore_ascii_case(s)));
        if is_url && self.on_box {
            return Err(Failure::Usage("--on-box is for a path on the box; the box fetches a URL by itself".into()));
        }
        let begun = if is_url || self.on_box {
            let place = if is_url { "url" } else { "path" };
            let mut body = json!({place: self.file.as_str(), "again": self.again, "restart": !self.no_restart});
            if let Some(s) = self.drain {
                body["drainS"] = s.into();
            }
            client.post(PATH, &body)?.body
        } else {
            let size = std::fs::metadata(&self.file).map_err(|e| Failure::here(format!("cannot read {}", self.file), e))?.len();
            let drain = self.drain.map(|s| format!("&drain_s={s}")).unwrap_or_default();
            let path = format!("{PATH}?again={}&restart={}{drain}", self.again, !self.no_restart);
            let answer = sent_as(client, Method::PUT, &path, &self.file, size, "application/octet-stream")?;
            serde_json::from_slice(&answer).map_err(|e| Failure::here("the answer is not JSON", e))?
        };
        if self.no_wait {
            let what = if is_url { "the box fetches the bundle" } else { "the bundle is on the box" };
            out.done(&begun, &format!("{what}; bothy update status tells how far it is"));
            return Ok(());
        }
        let end = follow(client, Duration::from_secs(self.timeout))?;
        told(out, &end)
    }
}

/// Watches until it is over, through the restarts of the box.
fn follow(client: &Client, patience: Duration) -> Result<Value, Failure> {
    let begun = Instant::now();
    let bar = ProgressBar::with_draw_target(Some(100), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {bar:24} {elapsed} {wide_msg}") {
        bar.set_style(style);
    }
    let mut armed = false;
    let end = loop {
        match client.get(PATH) {
            Ok(now) => {
                if is_over(&now) {
                    break Ok(now);
                }
                let u = &now["update"];
                armed |= u["state"] == "ARMED" || u["state"] == "ON_TRIAL";
                bar.set_position(u["progress"]["percent"].as_u64().unwrap_or(if armed { 100 } else { 0 }));
                bar.set_message(line(u));
            }
            // It is on its way down or up.
            Err(Failure::Unreachable(why)) if armed => bar.set_message(format!("the box restarts ({why})")),
            Err(f) => break Err(f),
        }
        if begun.elapsed() > patience {
            let s = patience.as_secs();
            break Err(Failure::Here(format!("the update is not over after {s} s; it goes on: bothy update status")));
        }
        bar.tick();
        std::thread::sleep(LOOK);
    };
    bar.finish_and_clear();
    end
}

/// Nothing more comes of it by itself.
fn is_over(now: &Value) -> bool {
    let u = &now["update"];
    match u["state"].as_str() {
        Some("FETCHING" | "RECEIVED" | "WRITING" | "DRAINING" | "ON_TRIAL" | "COMMITTING") => false,
        Some("ARMED") => u["restartsByItself"] == false,
        _ => true,
    }
}

/// Tells how it ended; one that is not kept is a failure, but for one that waits for a restart as it was asked to.
fn told(out: &Out, now: &Value) -> Result<(), Failure> {
    let u = &now["update"];
    let version = plain(&u["version"]);
    let reasons = |of: &str| json!({"reasons": u[of]});
    match u["state"].as_str() {
        Some("COMMITTED") => out.done(now, &format!("version {version} runs in slot {} and is kept", plain(&u["slot"]))),
        Some("ARMED") if list(u, "waitsFor").is_empty() => {
            out.done(now, &format!("version {version} is in slot {}: the next restart of the box tries it", plain(&u["slot"])));
        }
        state => {
            if out.json {
                out.value(now);
            }
            let (what, of) = match state {
                Some("ROLLED_BACK") => {
                    (format!("version {version} was tried and did not stay; {} runs", plain(&u["fromVersion"])), "reasons")
                }
                Some("FAILED") => ("the update was given up, and the box is as it was".to_owned(), "reasons"),
                Some("CANCELLED") => ("the update was called off".to_owned(), "reasons"),
                _ => (format!("the update is {}", plain(&u["state"])), "waitsFor"),
            };
            return Err(Failure::operation(&what, &reasons(of)));
        }
    }
    Ok(())
}

/// One line of an update under way.
fn line(u: &Value) -> String {
    let mut text = plain(&u["state"]);
    if u["version"].is_string() {
        text += &format!(" {}", plain(&u["version"]));
    }
    text += &format!(" in slot {}", plain(&u["slot"]));
    if u["progress"].is_object() {
        text += &format!("  {} % {}", plain(&u["progress"]["percent"]), plain(&u["progress"]["text"]));
    }
    if let [first, ..] = list(u, "waitsFor") {
        text += &format!("  {}", plain(first));
    }
    text
}

fn status(now: &Value) -> String {
    if now["updatable"] != true {
        return "this box has no slots: its system is updated by its own means".to_owned();
    }
    let mut lines = vec![host::system(&now["system"])];
    lines.push(format!(
        "every boot takes slot {}, the security counter is {}",
        plain(&now["committedSlot"]),
        plain(&now["system"]["securityCounter"])
    ));
    let u = &now["update"];
    if u.is_object() {
        lines.push(format!("update: {}", line(u)));
        let more = ["reasons", "waitsFor"].into_iter().flat_map(|m| list(u, m));
        lines.extend(more.map(|r| format!("  - {}", plain(r))));
    }
    for f in list(now, "failedVersions") {
        lines.push(format!("failed before: {}: {}", plain(&f["version"]), plain(&f["reasons"])));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::{super::failure::Exit, *};

    fn now(state: &str, more: &Value) -> Value {
        let mut u = json!({"state": state, "slot": "B", "fromVersion": "1.0", "version": "1.1", "restartsByItself": true});
        for (k, v) in more.as_object().into_iter().flatten() {
            u[k] = v.clone();
        }
        json!({
            "updatable": true,
            "system": {"slot": "A", "version": "1.0", "securityCounter": 3, "boot": "COMMITTED", "bootVerified": false,
                "bootNotVerifiedBecause": "Secure Boot is off in the firmware"},
            "committedSlot": "A",
            "update": u,
            "failedVersions": [{"version": "0.9", "reasons": ["libvirt does not answer", "guest 1 does not run"]}],
        })
    }

    #[test]
    fn each_end_has_its_exit_code_and_says_why() {
        let out = Out { json: false };
        for (state, more, over, failure) in [
            ("COMMITTED", json!({}), true, None),
            ("ARMED", json!({"restartsByItself": false}), true, None),
            (
                "ARMED",
                json!({"restartsByItself": false, "waitsFor": ["the box does not restart by itself"]}),
                true,
                Some("does not restart by itself"),
            ),
            ("ARMED", json!({}), false, None),
            ("ROLLED_BACK", json!({"reasons": ["libvirt does not answer"]}), true, Some("libvirt does not answer")),
            ("FAILED", json!({"reasons": ["signature"]}), true, Some("signature")),
            ("CANCELLED", json!({}), true, Some("called off")),
            ("FETCHING", json!({}), false, Some("FETCHING")),
            ("WRITING", json!({}), false, Some("WRITING")),
            ("ON_TRIAL", json!({"waitsFor": ["libvirt"]}), false, Some("libvirt")),
        ] {
            let n = now(state, &more);
            assert_eq!(is_over(&n), over, "{state}");
            let end = told(&out, &n);
            assert_eq!(end.as_ref().err().map(Failure::exit), failure.map(|_| Exit::OperationFailed), "{state}");
            if let (Err(f), Some(words)) = (end, failure) {
                assert!(f.text().contains(words), "{}", f.text());
            }
        }
    }

    #[test]
    fn the_status_tells_what_runs_what_comes_and_what_failed() {
        let n = now("WRITING", &json!({"progress": {"percent": 40, "text": "copying"}}));
        assert_eq!(
            status(&n),
            "system: version 1.0 in slot A, boot not verified: Secure Boot is off in the firmware\n\
             every boot takes slot A, the security counter is 3\n\
             update: WRITING 1.1 in slot B  40 % copying\n\
             failed before: 0.9: libvirt does not answer, guest 1 does not run"
        );
        let mut verified = now("ON_TRIAL", &json!({"waitsFor": ["libvirt does not answer"]}));
        verified["system"]["bootVerified"] = true.into();
        verified["system"]["boot"] = "TRIAL".into();
        verified["system"]["argumentsRefused"] = true.into();
        let text = status(&verified);
        assert!(
            text.starts_with("system: version 1.0 in slot A, started as a trial, boot verified, without the host's kernel arguments"),
            "{text}"
        );
        assert!(text.contains("  - libvirt does not answer"), "{text}");
        assert!(status(&json!({"updatable": false})).contains("no slots"));
    }
}
