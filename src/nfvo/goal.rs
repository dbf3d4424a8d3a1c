//! What scaling a whole service comes to: which VNFs come, and which go. Pure.
//!
//! Of a member that shrinks the newest go; one that grows fills the lowest free numbers. Never: plans of
//! VNFs, the store.

use std::collections::BTreeMap;

use smol_str::{SmolStr, format_smolstr};

use crate::{
    model::{
        error::{Fault, Kind, Result},
        id::VnfId,
        nsd::{Member, NsAspect, NsFlavour},
    },
    vnfm::plan::MOST,
};

/// How far to scale a service (SOL005 6.5.3.38).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NsScaleTo {
    /// An instantiation level of its flavour.
    Level(SmolStr),
    /// So many steps of an aspect.
    Steps { aspect: SmolStr, out: bool, steps: u32 },
    /// A scale level of each of these aspects; the others stay.
    Aspects(Vec<(SmolStr, u32)>),
    /// These VNFs go.
    Without(Vec<VnfId>),
}

/// A VNF that the service has.
pub struct There {
    pub profile: SmolStr,
    pub vnf: VnfId,
    pub name: SmolStr,
    /// The path of a chain that it takes part in now, whatever the descriptor has.
    pub chain: Option<SmolStr>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Goal {
    /// By member: how many there will be, and the numbers of those that come.
    pub more: BTreeMap<SmolStr, (u32, Vec<u32>)>,
    pub less: Vec<VnfId>,
}

/// `ns`: the service's name, which leads those of its VNFs.
pub fn goal(ns: &str, flavour: &NsFlavour, there: &[There], to: &NsScaleTo) -> Result<Goal> {
    let of = |m: &Member| there.iter().filter(|t| t.profile == m.id).collect::<Vec<_>>();
    let mut wrong = Vec::new();
    let mut goal = Goal { more: BTreeMap::new(), less: Vec::new() };
    let wanted = counts(flavour, there, to)?;
    for m in &flavour.members {
        let have = of(m);
        let want = wanted.get(&m.id).copied().unwrap_or(have.len() as u32);
        if want as usize == have.len() {
            continue;
        }
        let most = m.max_instances.min(MOST);
        if want > most || want < m.min_instances {
            wrong.push(format!("VNF {}: {want} instances, and it has {} to {most}", m.id, m.min_instances));
        }
        let paths = flavour.paths.iter().filter(|p| {
            let hops = p.hops.iter().flat_map(|h| [&h.entry, &h.exit]);
            hops.chain([&p.from, &p.to]).any(|cp| cp.member == m.id)
        });
        let before = wrong.len();
        wrong.extend(paths.map(|p| {
            format!("VNF {} takes part in path {} of VNFFG {}: the number of its instances is fixed while that stands", m.id, p.id, p.vnffg)
        }));
        // A function that came into a running chain.
        if let (true, Some(nfp)) = (before == wrong.len(), have.iter().find_map(|t| t.chain.as_ref())) {
            wrong.push(format!(
                "VNF {} takes part in chain {nfp} as it runs: the number of its instances is fixed until it is taken out (bothy chain change)",
                m.id
            ));
        }
        if let NsScaleTo::Without(named) = to {
            goal.less.extend(have.iter().filter(|t| named.contains(&t.vnf)).map(|t| t.vnf));
            continue;
        }
        goal.less.extend(have.iter().skip(want as usize).rev().map(|t| t.vnf));
        let missing = (want as usize).saturating_sub(have.len());
        let is_free = |n: &u32| {
            let (bare, numbered) = (format_smolstr!("{ns}-{}", m.id), format_smolstr!("{ns}-{}-{n}", m.id));
            have.iter().all(|t| t.name != numbered && (*n > 0 || t.name != bare))
        };
        let numbers: Vec<u32> = (0..=MOST).filter(is_free).take(missing).collect();
        if !numbers.is_empty() {
            goal.more.insert(m.id.clone(), (want, numbers));
        }
    }
    match wrong.len() {
        0 => Ok(goal),
        1 => Err(Fault::conflict(wrong.remove(0))),
        _ => Err(Fault::conflict("the service cannot be scaled so").with_reasons(wrong)),
    }
}

/// How many of each member there shall be.
fn counts(flavour: &NsFlavour, there: &[There], to: &NsScaleTo) -> Result<BTreeMap<SmolStr, u32>> {
    let mut out = BTreeMap::new();
    match to {
        NsScaleTo::Level(id) => {
            let level = flavour.levels.iter().find(|l| l.id == *id).ok_or_else(|| {
                let known: Vec<_> = flavour.levels.iter().map(|l| l.id.as_str()).collect();
                Fault::invalid(format!("NS flavour {} has no instantiation level '{id}'; it has {}", flavour.id, known.join(", ")))
            })?;
            out.extend(level.counts.iter().cloned());
        }
        NsScaleTo::Steps { aspect: id, out: outward, steps } => {
            let a = aspect(flavour, id)?;
            let now = level_now(a, there)?;
            let to = if *outward { now.checked_add(*steps as usize) } else { now.checked_sub(*steps as usize) };
            let level = to.and_then(|to| a.levels.get(to)).ok_or_else(|| {
                let way = if *outward { "out" } else { "in" };
                let most = a.levels.len().saturating_sub(1);
                Fault::conflict(format!("aspect {id} is at level {now} of at most {most}: {steps} steps {way} are not possible"))
            })?;
            out.extend(level.iter().cloned());
        }
        NsScaleTo::Aspects(all) => {
            for (id, to) in all {
                let a = aspect(flavour, id)?;
                let most = a.levels.len().saturating_sub(1);
                let level = a.levels.get(*to as usize);
                let level = level.ok_or_else(|| Fault::conflict(format!("aspect {id} has levels 0 to {most}, not {to}")))?;
                out.extend(level.iter().cloned());
            }
        }
        NsScaleTo::Without(named) => {
            let strangers: Vec<String> = named
                .iter()
                .filter(|v| there.iter().all(|t| t.vnf != **v))
                .map(|v| format!("VNF instance {v} is no member of it"))
                .collect();
            if !strangers.is_empty() {
                return Err(Fault::new(Kind::Invalid, "VNFs cannot be removed from the service").with_reasons(strangers));
            }
            for t in there {
                let left = out.entry(t.profile.clone()).or_default();
                *left += u32::from(!named.contains(&t.vnf));
            }
        }
    }
    Ok(out)
}

fn aspect<'f>(flavour: &'f NsFlavour, id: &str) -> Result<&'f NsAspect> {
    flavour.aspects.iter().find(|a| a.id == id).ok_or_else(|| {
        let names = |all: Vec<&str>| if all.is_empty() { "none".to_owned() } else { all.join(", ") };
        Fault::invalid(format!(
            "NS flavour {} has no scaling aspect '{id}'; it has {}, and these instantiation levels: {}",
            flavour.id,
            names(flavour.aspects.iter().map(|a| a.id.as_str()).collect()),
            names(flavour.levels.iter().map(|l| l.id.as_str()).collect())
        ))
    })
}

fn level_now(a: &NsAspect, there: &[There]) -> Result<usize> {
    let count = |m: &str| there.iter().filter(|t| t.profile == m).count() as u32;
    a.level(count).ok_or_else(|| {
        let first = a.levels.first().map(Vec::as_slice).unwrap_or_default();
        let now: Vec<String> = first.iter().map(|(m, _)| format!("VNF {m}: {} instances", count(m))).collect();
        Fault::conflict(format!(
            "the service is at no level of aspect {}: scale it to one of 0 to {}",
            a.id,
            a.levels.len().saturating_sub(1)
        ))
        .with_reasons(now)
    })
}
