//! The file that remembers updates, as text: a line each, `name value`.
//!
//! It is read by the system before the update and by the one after it, so names that are not known are passed over. A
//! file whose first line or state is not known was written by a newer bothy.

use std::str::FromStr;

use crate::model::{
    error::{Fault, Result},
    update::{Asked, Bundle, FailedVersion, Journal, Update, UpdateState, Version},
};

const FIRST: &str = "bothy update 1";
/// Between the reasons of one failed version.
const NEXT: char = '\t';

pub fn render(j: &Journal) -> String {
    let mut out = format!("{FIRST}\n");
    let mut line = |name: &str, value: &str| out += &format!("{name} {}\n", value.replace(['\n', '\r'], " "));
    for f in &j.failed {
        let why: String = f.why.iter().map(|w| format!("{NEXT}{}", w.replace(NEXT, " "))).collect();
        line("failed", &format!("{}{why}", f.version));
    }
    let Some(u) = &j.update else { return out };
    line("state", u.state.name());
    match &u.state {
        UpdateState::OnTrial { starts } => line("starts", &starts.to_string()),
        UpdateState::RolledBack { why } | UpdateState::Failed { why } => why.iter().for_each(|w| line("why", w)),
        UpdateState::Fetching
        | UpdateState::Received
        | UpdateState::Writing
        | UpdateState::Draining
        | UpdateState::Armed
        | UpdateState::Committing
        | UpdateState::Committed
        | UpdateState::Cancelled => {}
    }
    line("target", &u.target.to_string());
    line("from", u.from.as_str());
    if let Some(b) = &u.bundle {
        line("compatible", &b.compatible);
        line("version", b.version.as_str());
        line("security", &b.security.to_string());
        if let Some(v) = &b.min_from {
            line("min-from", v.as_str());
        }
    }
    if u.asked.again {
        line("again", "1");
    }
    if let Some(s) = u.asked.drain_s {
        line("drain", &s.to_string());
    }
    line("reboot", if u.asked.reboot { "1" } else { "0" });
    if let Some(url) = &u.url {
        line("url", url);
    }
    if let Some(f) = &u.file {
        line("file", f);
    }
    if let Some(id) = &u.armed_in {
        line("armed-in", id);
    }
    if let Some(s) = u.tried_at {
        line("tried-at", &s.to_string());
    }
    u.excused.iter().for_each(|e| line("excused", e));
    u.unmet.iter().for_each(|e| line("unmet", e));
    out
}

pub fn parse(text: &str) -> Result<Journal> {
    let mut lines = text.lines();
    if lines.next() != Some(FIRST) {
        return Err(newer());
    }
    let all: Vec<(&str, &str)> = lines.filter_map(|l| l.split_once(' ')).collect();
    let every = |name: &'static str| all.iter().filter(move |(n, _)| *n == name).map(|(_, v)| *v);
    let texts = |name| every(name).map(str::to_owned).collect::<Vec<_>>();
    let failed = every("failed").map(|v| {
        let mut parts = v.split(NEXT);
        let version = parts.next().unwrap_or_default().parse()?;
        Ok(FailedVersion { version, why: parts.map(str::to_owned).collect() })
    });
    let mut j = Journal { update: None, failed: failed.collect::<Result<_>>()? };
    let Some(state) = every("state").next() else { return Ok(j) };
    let state = match state {
        "FETCHING" => UpdateState::Fetching,
        "RECEIVED" => UpdateState::Received,
        "WRITING" => UpdateState::Writing,
        "DRAINING" => UpdateState::Draining,
        "ARMED" => UpdateState::Armed,
        "ON_TRIAL" => UpdateState::OnTrial { starts: value(every("starts").next())?.unwrap_or(1) },
        "COMMITTING" => UpdateState::Committing,
        "COMMITTED" => UpdateState::Committed,
        "ROLLED_BACK" => UpdateState::RolledBack { why: texts("why") },
        "FAILED" => UpdateState::Failed { why: texts("why") },
        "CANCELLED" => UpdateState::Cancelled,
        _ => return Err(newer()),
    };
    let missing = |what: &str| Fault::bug(format!("the record of updates names no {what}"));
    let bundle = match value::<Version>(every("version").next())? {
        None => None,
        Some(version) => Some(Bundle {
            compatible: every("compatible").next().unwrap_or_default().into(),
            version,
            security: value(every("security").next())?.ok_or_else(|| missing("security counter"))?,
            min_from: value(every("min-from").next())?,
        }),
    };
    j.update = Some(Update {
        state,
        target: value(every("target").next())?.ok_or_else(|| missing("slot"))?,
        from: value(every("from").next())?.ok_or_else(|| missing("version before"))?,
        bundle,
        asked: Asked {
            again: every("again").next() == Some("1"),
            drain_s: value(every("drain").next())?,
            reboot: every("reboot").next() != Some("0"),
        },
        url: every("url").next().map(Into::into),
        file: every("file").next().map(Into::into),
        excused: every("excused").map(Into::into).collect(),
        unmet: texts("unmet"),
        armed_in: every("armed-in").next().map(Into::into),
        tried_at: value(every("tried-at").next())?,
    });
    Ok(j)
}

fn value<T: FromStr>(text: Option<&str>) -> Result<Option<T>> {
    let bad = |t: &str| Fault::bug(format!("the record of updates cannot be read at '{t}'"));
    text.map(|t| t.parse::<T>().map_err(|_| bad(t))).transpose()
}

fn newer() -> Fault {
    Fault::conflict(
        "the record of updates (update/journal in the data folder) was written by a newer bothy, or by something else: it is kept as update/journal.old, and updates go on without it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::update::Slot;

    fn v(s: &str) -> Version {
        s.parse().expect("a version")
    }

    fn whole() -> Journal {
        Journal {
            update: Some(Update {
                state: UpdateState::OnTrial { starts: 2 },
                target: Slot::B,
                from: v("1.0"),
                bundle: Some(Bundle { compatible: "bothy-x86_64".into(), version: v("1.1"), security: 3, min_from: Some(v("0.9")) }),
                asked: Asked { again: true, drain_s: Some(60), reboot: false },
                url: Some("https://x/one".into()),
                file: Some("one.raucb".into()),
                excused: vec!["guest 1".into()],
                unmet: vec!["libvirt: does not\nanswer".into()],
                armed_in: Some("b-1".into()),
                tried_at: Some(17),
            }),
            failed: vec![FailedVersion { version: v("0.8"), why: vec!["no libvirt".into(), "no switch".into()] }],
        }
    }

    #[test]
    fn the_form_is_as_written_down() {
        let text = render(&whole());
        assert_eq!(
            text,
            "bothy update 1\nfailed 0.8\tno libvirt\tno switch\nstate ON_TRIAL\nstarts 2\ntarget B\nfrom 1.0\ncompatible bothy-x86_64\n\
             version 1.1\nsecurity 3\nmin-from 0.9\nagain 1\ndrain 60\nreboot 0\nurl https://x/one\nfile one.raucb\narmed-in b-1\ntried-at 17\nexcused guest 1\nunmet libvirt: does not answer\n"
        );
        let mut read = whole();
        read.update.as_mut().expect("one").unmet = vec!["libvirt: does not answer".into()];
        assert_eq!(parse(&text).expect("read"), read);
        assert_eq!(parse(&(text + "something newer\n")).expect("read"), read, "names that came later");
    }

    #[test]
    fn each_state_is_read_as_it_was_written() {
        let why = vec!["one".to_owned(), "two".to_owned()];
        for state in [
            UpdateState::Fetching,
            UpdateState::Received,
            UpdateState::Writing,
            UpdateState::Draining,
            UpdateState::Armed,
            UpdateState::OnTrial { starts: 1 },
            UpdateState::Committing,
            UpdateState::Committed,
            UpdateState::RolledBack { why: why.clone() },
            UpdateState::Failed { why },
            UpdateState::Cancelled,
        ] {
            let update = Update {
                state,
                target: Slot::A,
                from: v("1.0"),
                bundle: None,
                asked: Asked::default(),
                url: None,
                file: None,
                excused: Vec::new(),
                unmet: Vec::new(),
                armed_in: None,
                tried_at: None,
            };
            let j = Journal { update: Some(update), failed: Vec::new() };
            assert_eq!(parse(&render(&j)).expect("read"), j);
        }
        assert_eq!(parse(&render(&Journal::default())).expect("read"), Journal::default());
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        for bad in [
            "",
            "bothy update 2\n",
            "bothy update 1\nstate FLYING\n",
            "bothy update 1\nstate ARMED\n",
            "bothy update 1\nstate ARMED\ntarget C\nfrom 1\n",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
