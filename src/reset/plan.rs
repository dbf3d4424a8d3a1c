//! What a reset of some depth takes and keeps on this box, and every reason why not now. Pure.

use sha2::{Digest as _, Sha256};

use crate::{
    model::reset::Depth,
    store::{Part, Table},
};

/// How the box stands when a reset is asked for.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The system is Bothy's own image: then the configuration's file and what is around bothy are the box's.
    pub is_box: bool,
    /// How many there are of each, in the words of the plan.
    pub services: u64,
    pub vnfs: u64,
    pub packages: u64,
    pub snapshots: u64,
    pub accounts: u64,
    pub secrets: u64,
    /// Operations under way, as people know them.
    pub in_flight: Vec<String>,
    /// Why nothing of the system may be changed now.
    pub update: Option<String>,
    /// A change of the box's network waits to be confirmed.
    pub network_on_trial: bool,
    /// Bothy sets the box's own network.
    pub network_is_ours: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub depth: Depth,
    pub goes: Vec<String>,
    pub stays: Vec<String>,
    /// What only a box of its own has, and this host not.
    pub skipped: Vec<String>,
    /// Why it cannot be.
    pub refused: Vec<String>,
    /// Why it is not done unless somebody insists.
    pub waits: Vec<String>,
    /// The box restarts, and not bothy alone.
    pub restarts_box: bool,
    /// Says that somebody has seen this plan: another one has another.
    pub token: String,
}

/// One thing to be done; each may be done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Guests with disks, media and logs.
    Guests,
    /// Chains, links, DHCP servers, address translation.
    Links,
    /// Virtual functions and whole devices.
    Devices,
    /// What switches outside carry for this box.
    Outside,
    /// Large pages, VFs, interrupts, kernel arguments.
    Host,
    /// The box's own ports.
    Network,
    /// Records; `Table`s by `purged`.
    Records,
    /// Files of the configuration that are the box's own.
    Files,
}

/// What is done for a depth, in this order.
pub fn steps(depth: Depth, is_box: bool) -> Vec<Step> {
    let mut all = vec![Step::Guests, Step::Links, Step::Devices];
    // With its services gone a box takes them off the switches that it goes on to know.
    if depth >= Depth::Configuration {
        all.extend([Step::Outside, Step::Host, Step::Network]);
    }
    all.extend(match (depth, is_box) {
        (Depth::Services, _) => [Step::Records].as_slice(),
        (Depth::Configuration, true) => &[Step::Records, Step::Files],
        (Depth::Configuration, false) => &[Step::Records],
        // They go with the whole data folder, or with the box's partitions.
        (Depth::Everything, _) => &[],
    });
    all
}

/// Whether a table's records go.
pub fn purged(depth: Depth, table: Table) -> bool {
    match table.part() {
        Part::Services => true,
        Part::Configuration => depth >= Depth::Configuration,
        Part::Catalogue | Part::Trail => depth >= Depth::Everything,
        Part::Store => false,
    }
}

pub fn plan(depth: Depth, seen: &Seen) -> Plan {
    let (mut goes, mut stays, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    goes.push(format!("{} services and {} VNFs with their guests, disks, links and addresses", seen.services, seen.vnfs));
    goes.push(format!("{} snapshots; operations, alarms, measurements, grants", seen.snapshots));
    goes.push("virtual functions and what switches outside carry for guests are given back".to_owned());
    let told = |to: &mut Vec<String>| {
        to.push(format!("{} accounts, their roles, projects and tokens; subscriptions, SDN controllers, central NFVOs", seen.accounts));
        to.push(format!("{} secrets", seen.secrets));
        to.push("the host's set-up (hugepages, VFs, interrupts, kernel arguments)".to_owned());
        if seen.network_is_ours {
            to.push("the box's own network as it was told".to_owned());
        }
        if seen.is_box {
            to.push("bothy.toml and what lies beside it; the state of zero touch".to_owned());
        }
    };
    told(if depth >= Depth::Configuration { &mut goes } else { &mut stays });
    let kept = |to: &mut Vec<String>| {
        to.push(format!("{} packages and descriptors with their images", seen.packages));
        to.push("the audit trail; the API's key and certificate; the key of sealed secrets".to_owned());
        if seen.is_box {
            to.push("logs; which versions of the system failed".to_owned());
        }
    };
    kept(if depth == Depth::Everything { &mut goes } else { &mut stays });
    if !seen.is_box {
        stays.push("the configuration's file and all of this host that is not bothy's".to_owned());
        if depth >= Depth::Configuration {
            skipped.push("bothy.toml: this host is no box of bothy's image, and the file is its administrator's".to_owned());
        }
        if depth == Depth::Everything {
            skipped.push("the partitions for state, logs and data: this host has none of bothy's; the data folder is emptied".to_owned());
        }
        if depth >= Depth::Configuration && !seen.network_is_ours {
            skipped.push("the host's network: it is not left to bothy ([host] network)".to_owned());
        }
    } else {
        stays.push("both slots of the system, the security counter".to_owned());
        stays.push("the manufacturer's identity (IDevID, trust anchors)".to_owned());
    }
    let refused = seen.update.iter().cloned().collect();
    let mut waits: Vec<String> = seen.in_flight.iter().map(|o| format!("{o} is under way")).collect();
    if seen.network_on_trial {
        waits.push("a change of the box's network waits to be confirmed".to_owned());
    }
    let restarts_box = seen.is_box && depth >= Depth::Configuration;
    let mut p = Plan { depth, goes, stays, skipped, refused, waits, restarts_box, token: String::new() };
    p.token = token(&p);
    p
}

/// Not of what passes by itself: it would be another with each operation.
fn token(p: &Plan) -> String {
    let mut sha = Sha256::new();
    sha.update(p.depth.name());
    for line in p.goes.iter().chain(&p.stays).chain(&p.skipped) {
        sha.update([0]);
        sha.update(line);
    }
    data_encoding::HEXLOWER.encode(&sha.finalize()[..4])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(is_box: bool) -> Seen {
        Seen { is_box, services: 1, vnfs: 3, packages: 4, accounts: 2, secrets: 1, network_is_ours: is_box, ..Seen::default() }
    }

    #[test]
    fn each_depth_takes_what_the_one_before_takes_and_more() {
        for is_box in [false, true] {
            let all = Depth::ALL.map(|d| plan(d, &seen(is_box)));
            for two in all.windows(2) {
                assert!(two[0].goes.iter().all(|g| two[1].goes.contains(g)), "{two:?}");
                assert!(two[1].goes.len() > two[0].goes.len());
                assert_ne!(two[0].token, two[1].token);
            }
            for p in &all {
                assert!(p.goes.iter().all(|g| !p.stays.contains(g)), "{p:?}");
                assert_eq!(p.restarts_box, is_box && p.depth != Depth::Services);
                assert_eq!(p.skipped.is_empty(), is_box || p.depth == Depth::Services, "{p:?}");
            }
            for t in Table::ALL {
                let taken = Depth::ALL.map(|d| purged(d, t));
                assert!(taken.is_sorted(), "{t:?} {taken:?}");
            }
        }
        let of_box = plan(Depth::Everything, &seen(true));
        assert!(of_box.stays.iter().any(|s| s.contains("slots")) && of_box.stays.iter().any(|s| s.contains("IDevID")), "{of_box:?}");
    }

    #[test]
    fn what_stands_in_the_way_is_told_whole_and_does_not_change_the_plan() {
        let quiet = plan(Depth::Services, &seen(true));
        let busy = Seen {
            in_flight: vec!["operation 1 (HEAL)".into(), "operation 2 (SCALE)".into()],
            update: Some("version 2 is on trial".into()),
            network_on_trial: true,
            ..seen(true)
        };
        let p = plan(Depth::Services, &busy);
        assert_eq!((p.refused.len(), p.waits.len(), &p.token), (1, 3, &quiet.token));
        assert_ne!(plan(Depth::Services, &Seen { vnfs: 4, ..seen(true) }).token, quiet.token, "somebody has seen another plan");
    }
}
