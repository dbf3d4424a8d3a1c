//! What another box had, against what is here: which name stands for which, and what has nothing in its place. Pure.

use smol_str::SmolStr;

use crate::model::backup::{BoxFacts, Nic};

/// A name of the other box, and what is meant by it here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    pub from: SmolStr,
    pub to: SmolStr,
    pub why: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fit {
    pub bound: Vec<Bound>,
    /// What does not fit, and why.
    pub misfits: Vec<String>,
}

/// `needed`: names of ports and cards that the configuration has; `asked`: what somebody says, which comes first.
pub fn fit(was: &BoxFacts, here: &BoxFacts, needed: &[SmolStr], asked: &[(SmolStr, SmolStr)]) -> Fit {
    let mut out = Fit::default();
    let known = |name: &SmolStr| was.nics.iter().find(|n| n.name == *name);
    for (from, to) in asked {
        if !needed.contains(from) {
            out.misfits.push(format!("'{from}' is no port that the configuration of the other box names"));
        } else if here.nics.iter().all(|n| n.name != *to) {
            out.misfits.push(format!("'{to}', which shall stand for {from}, is no port of this box: it has {}", names(here)));
        } else if out.bound.iter().any(|b| b.to == *to) {
            out.misfits.push(format!("'{to}' shall stand for two ports"));
        } else {
            out.bound.push(Bound { from: from.clone(), to: to.clone(), why: "as you say" });
        }
    }
    // The surest first, for all, so that no guess takes what another knows.
    type Same = fn(&Nic, &Nic) -> bool;
    let ways: [(&str, Same); 3] = [
        ("the same address", |a, b| !a.mac.is_empty() && a.mac == b.mac),
        ("the same name", |a, b| a.name == b.name),
        ("the only one of its model", |a, b| !a.model.is_empty() && a.model == b.model),
    ];
    for (n, (why, is)) in ways.into_iter().enumerate() {
        let open: Vec<&SmolStr> = needed.iter().filter(|name| out.bound.iter().all(|b| b.from != **name)).collect();
        let free: Vec<&Nic> = here.nics.iter().filter(|h| out.bound.iter().all(|b| b.to != h.name)).collect();
        let of = |name: &SmolStr| {
            let was = known(name).cloned().unwrap_or(Nic { name: name.clone(), mac: "".into(), model: "".into(), total_vfs: 0 });
            free.iter().filter(|h| is(&was, h)).map(|h| h.name.clone()).collect::<Vec<_>>()
        };
        let mut found: Vec<Bound> = Vec::new();
        for name in &open {
            let [to] = &of(name)[..] else { continue };
            // Two of a model are two, and nobody can say which is which.
            if n == 2 && open.iter().filter(|o| of(o).contains(to)).count() > 1 {
                continue;
            }
            if found.iter().all(|b| b.to != *to) {
                found.push(Bound { from: (*name).clone(), to: to.clone(), why });
            }
        }
        out.bound.extend(found);
    }
    for name in needed {
        let Some(b) = out.bound.iter().find(|b| b.from == *name) else {
            if out.misfits.iter().all(|m| !m.contains(&format!("stand for {name}"))) {
                out.misfits.push(format!(
                    "nothing here stands for port {name} of the other box: say which (--map {name}=PORT) of {}",
                    names(here)
                ));
            }
            continue;
        };
        let now = here.nics.iter().find(|h| h.name == b.to);
        if let (Some(was), Some(now)) = (known(name), now)
            && was.total_vfs > now.total_vfs
        {
            out.misfits.push(format!(
                "{} gives {} virtual functions, and {name} of the other box gave {}",
                now.name, now.total_vfs, was.total_vfs
            ));
        }
    }
    for (what, was, now) in [("CPUs", u64::from(was.cpus), u64::from(here.cpus)), ("NUMA nodes", was.nodes.into(), here.nodes.into())] {
        if was > now {
            out.misfits.push(format!(
                "the other box had {was} {what}, this one has {now}: what the configuration or guests ask of them may not be here"
            ));
        }
    }
    if was.memory_mib > here.memory_mib {
        out.misfits.push(format!("the other box had {} MiB of memory, this one has {}", was.memory_mib, here.memory_mib));
    }
    out
}

fn names(of: &BoxFacts) -> String {
    let all: Vec<&str> = of.nics.iter().map(|n| n.name.as_str()).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

/// A configuration with other names for ports: whole strings only, so comments and all else stay.
pub fn rebind(config: &str, bound: &[Bound]) -> String {
    config.split_inclusive('\n').map(|line| rebound(line, bound)).collect()
}

/// By one pass: what one name becomes may be another's.
fn rebound(line: &str, bound: &[Bound]) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find(['"', '\'', '#']) {
        let sign = &rest[at..=at];
        let Some((word, after)) = rest[at + 1..].split_once(sign).filter(|_| sign != "#") else { break };
        out += &rest[..=at];
        out += bound.iter().find(|b| b.from == word).map_or(word, |b| b.to.as_str());
        out += sign;
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nic(name: &str, mac: &str, model: &str, total_vfs: u16) -> Nic {
        Nic { name: name.into(), mac: mac.into(), model: model.into(), total_vfs }
    }
    fn a_box(nics: Vec<Nic>) -> BoxFacts {
        BoxFacts { host: "a".into(), cpus: 8, nodes: 1, memory_mib: 1000, nics }
    }
    fn pairs(f: &Fit) -> Vec<(&str, &str)> {
        let mut all: Vec<_> = f.bound.iter().map(|b| (b.from.as_str(), b.to.as_str())).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn a_port_is_known_by_its_address_its_name_or_its_model_and_by_nothing_less() {
        let was =
            a_box(vec![nic("wan0", "m1", "a:1", 8), nic("lan0", "m2", "b:2", 0), nic("eno1", "m3", "c:3", 0), nic("eno2", "m4", "c:3", 0)]);
        let needed: Vec<SmolStr> = ["wan0", "lan0", "eno1", "eno2"].map(Into::into).into();
        let f = fit(&was, &was, &needed, &[]);
        assert_eq!((pairs(&f).len(), f.misfits), (4, vec![]));
        // The card of lan0 has moved over; another box has another name for wan0's model, and two of eno's.
        let here =
            a_box(vec![nic("enp9", "m9", "a:1", 4), nic("enp2", "m2", "b:2", 0), nic("x1", "n1", "c:3", 0), nic("x2", "n2", "c:3", 0)]);
        let f = fit(&was, &here, &needed, &[]);
        assert_eq!(pairs(&f), [("lan0", "enp2"), ("wan0", "enp9")]);
        assert_eq!(f.misfits.len(), 3, "{:?}", f.misfits);
        assert!(f.misfits.iter().any(|m| m.contains("--map eno1=PORT")) && f.misfits.iter().any(|m| m.contains("4 virtual functions")));
        let say = |a: &str, b: &str| (SmolStr::new(a), SmolStr::new(b));
        let f = fit(&was, &here, &needed, &[say("eno1", "x2"), say("eno2", "x1")]);
        assert_eq!(pairs(&f), [("eno1", "x2"), ("eno2", "x1"), ("lan0", "enp2"), ("wan0", "enp9")]);
        let f = fit(&was, &here, &needed, &[say("eno1", "x2"), say("eno2", "x2"), say("nobody", "x1"), say("wan0", "gone")]);
        assert_eq!(f.misfits.iter().filter(|m| m.contains("two ports") || m.contains("no port")).count(), 3, "{:?}", f.misfits);
        let small = BoxFacts { cpus: 4, nodes: 1, memory_mib: 10, ..was.clone() };
        assert_eq!(fit(&was, &small, &needed, &[]).misfits.len(), 2);
    }

    #[test]
    fn names_are_changed_where_they_stand_alone() {
        let bound = [Bound { from: "a0".into(), to: "b0".into(), why: "" }, Bound { from: "b0".into(), to: "a0".into(), why: "" }];
        let text = "# a0's the \"way out\"\n[[physical_network]]\nname = \"a0-net\"\ninterface = \"a0\"\n[host]\npf = [{ name = 'b0', vfs = 4 }]\n";
        assert_eq!(
            rebind(text, &bound),
            "# a0's the \"way out\"\n[[physical_network]]\nname = \"a0-net\"\ninterface = \"b0\"\n[host]\npf = [{ name = 'a0', vfs = 4 }]\n"
        );
        assert_eq!(rebind("it's \"a0", &bound), "it's \"a0");
    }
}
