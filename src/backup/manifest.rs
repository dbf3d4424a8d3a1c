//! A backup's manifest as text: a line each, `name value`. Pure.

use smol_str::SmolStr;

use super::seal::damaged;
use crate::model::{
    backup::{BoxFacts, Manifest, Nic},
    error::{Fault, Result},
    time::Stamp,
};

const FIRST: &str = "bothy manifest 1";
/// In the place of a word that is empty.
const NONE: &str = "-";

pub fn render(m: &Manifest) -> String {
    let mut out = format!("{FIRST}\n");
    let mut line = |name: &str, value: &str| out += &format!("{name} {}\n", value.replace(['\n', '\r'], " "));
    line("release", &m.release);
    line("level", m.level.name());
    line("made", &m.made.0.to_string());
    line("by", &m.by);
    line("generation", &m.generation.to_string());
    line("fingerprint", &m.fingerprint);
    line("data-dir", &m.data_dir);
    line("records", &m.records);
    line("host", &m.of.host);
    line("cpus", &m.of.cpus.to_string());
    line("nodes", &m.of.nodes.to_string());
    line("memory-mib", &m.of.memory_mib.to_string());
    for n in &m.of.nics {
        let word = |w: &SmolStr| if w.is_empty() { NONE.to_owned() } else { w.replace(' ', "_") };
        line("nic", &format!("{} {} {} {}", word(&n.name), word(&n.mac), word(&n.model), n.total_vfs));
    }
    m.not_frozen.iter().for_each(|g| line("not-frozen", g));
    out
}

/// Names that came later are passed over.
pub fn parse(text: &str) -> Result<Manifest> {
    let mut lines = text.lines();
    match lines.next() {
        Some(FIRST) => {}
        Some(l) if l.starts_with("bothy manifest ") => {
            return Err(Fault::invalid("this backup was made by a newer bothy: restore it with that release or a later one"));
        }
        Some(_) | None => return Err(damaged("its manifest cannot be read")),
    }
    let all: Vec<(&str, &str)> = lines.filter_map(|l| l.split_once(' ')).collect();
    let one = |name: &str| all.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
    let text = |name: &str| SmolStr::new(one(name).unwrap_or_default());
    let number = |name: &str| one(name).unwrap_or_default().parse::<u64>().map_err(|_| damaged(&format!("its manifest says no {name}")));
    let mut nics = Vec::new();
    for (_, v) in all.iter().filter(|(n, _)| *n == "nic") {
        let word = |w: &str| if w == NONE { SmolStr::default() } else { SmolStr::new(w) };
        let [name, mac, model, vfs] = v.split(' ').collect::<Vec<_>>()[..] else { return Err(damaged("its manifest names a NIC wrongly")) };
        nics.push(Nic { name: word(name), mac: word(mac), model: word(model), total_vfs: vfs.parse().unwrap_or(0) });
    }
    Ok(Manifest {
        release: text("release"),
        records: text("records"),
        level: one("level").unwrap_or_default().parse()?,
        made: Stamp(number("made")?),
        by: text("by"),
        generation: number("generation")?,
        fingerprint: text("fingerprint"),
        data_dir: text("data-dir"),
        of: BoxFacts {
            host: text("host"),
            cpus: number("cpus")? as u32,
            nodes: number("nodes")? as u32,
            memory_mib: number("memory-mib")?,
            nics,
        },
        not_frozen: all.iter().filter(|(n, _)| *n == "not-frozen").map(|(_, v)| SmolStr::new(v)).collect(),
    })
}

/// Kinds of records that this release does not read: `Operation=1,...` on both sides.
pub fn unreadable(theirs: &str, ours: &str) -> Vec<String> {
    let parts = |text: &str| -> Vec<(String, u32)> {
        text.split(',').filter_map(|p| p.split_once('=')).map(|(n, v)| (n.to_owned(), v.parse().unwrap_or(u32::MAX))).collect()
    };
    let known = parts(ours);
    parts(theirs)
        .into_iter()
        .filter_map(|(name, version)| match known.iter().find(|(n, _)| *n == name) {
            None => Some(format!("records of the kind {name} are not known here")),
            Some((_, v)) if *v < version => Some(format!("records of the kind {name} have version {version} there, and {v} here")),
            Some(_) => None,
        })
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::backup::Level;

    pub fn sample() -> Manifest {
        Manifest {
            release: "0.1.0".into(),
            records: "Account=1,Operation=2".into(),
            level: Level::Disks,
            made: Stamp(17),
            by: "ada".into(),
            generation: 3,
            fingerprint: "AB:CD".into(),
            data_dir: "/var/lib/bothy".into(),
            of: BoxFacts {
                host: "edge".into(),
                cpus: 64,
                nodes: 2,
                memory_mib: 65536,
                nics: vec![
                    Nic { name: "ens1f0".into(), mac: "52:54:00:00:00:01".into(), model: "8086:1592".into(), total_vfs: 64 },
                    Nic { name: "eno1".into(), mac: SmolStr::default(), model: SmolStr::default(), total_vfs: 0 },
                ],
            },
            not_frozen: vec!["web-0".into()],
        }
    }

    #[test]
    fn what_is_written_is_read_and_what_is_newer_is_told() {
        let m = sample();
        assert_eq!(parse(&(render(&m) + "later 1\n")).expect("read"), m);
        assert!(parse("bothy manifest 2\n").expect_err("newer").text().contains("newer"));
        for bad in
            ["", "x\n", "bothy manifest 1\n", &render(&m).replace("level disks", "level tapes"), &render(&m).replace("nic ens1f0", "nic")]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(unreadable("A=1,B=2", "A=1,B=2,C=9"), [] as [String; 0]);
        assert_eq!(unreadable("A=2,D=1", "A=1,B=2").len(), 2);
    }
}
