//! Which boxes a hub knows, and which of them are there. Pure: certificates, lines and times are handed in.
//!
//! ```text
//! not known --configure--> known, away <--left, cut-- known, there
//!                              `--------arrived----------^  `-- arrived again: the line before is given back, to be cut
//! ```
//! Never: whether a chain of certificates holds (`trust`), or what goes over a line.

use std::{collections::BTreeMap, net::SocketAddr};

use data_encoding::HEXUPPER;
use smol_str::SmolStr;

use crate::{
    access::certificate::Certificate,
    model::{desired::Stage, time::Stamp},
    ztp::report::Report,
};

/// A box as an operator told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    pub serial: SmolStr,
    /// SHA-256 of the one certificate that it has; `None`: one of the hub's CAs vouches for it.
    pub fingerprint: Option<[u8; 32]>,
    /// The project of the hub whose callers reach it, by name or id; empty: the default one.
    pub project: SmolStr,
    /// The group whose documents it is handed.
    pub group: SmolStr,
}

/// The document of desired state that counts on a box, by its own word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    pub version: u64,
    /// SHA-256 of it in its signature.
    pub digest: Option<[u8; 32]>,
    /// `None`: in a word that is not known here.
    pub stage: Option<Stage>,
}

/// How the last try to hand a box a document ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handed {
    pub digest: [u8; 32],
    pub at: Stamp,
    pub failed: Option<String>,
}

/// What a box has last said of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    pub version: Option<SmolStr>,
    /// `OK` or `DEGRADED`.
    pub health: Option<SmolStr>,
    /// `None`: no document counts there.
    pub applied: Option<Applied>,
    /// Why there is neither.
    pub why: Option<String>,
}

/// A box as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub enrolled: Enrolled,
    pub connected: Option<(Stamp, SocketAddr)>,
    pub last: Option<Stamp>,
    pub said: Said,
    /// When it last said how it is.
    pub reported: Option<Stamp>,
    pub handed: Option<Handed>,
    /// The last that it told of its bootstrapping.
    pub progress: Option<(Stamp, Report)>,
}

/// Who a certificate may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is the pinned certificate of this box.
    Pinned(SmolStr),
    /// It names this box, if a CA of the hub's vouches for it.
    IfVouched(SmolStr),
    /// No box that is known here, and why not.
    Stranger(String),
}

struct There<L> {
    generation: u64,
    since: Stamp,
    from: SocketAddr,
    line: L,
}

struct Known<L> {
    enrolled: Enrolled,
    there: Option<There<L>>,
    last: Option<Stamp>,
    said: Said,
    reported: Option<Stamp>,
    handed: Option<Handed>,
    progress: Option<(Stamp, Report)>,
}

pub struct Registry<L> {
    boxes: BTreeMap<SmolStr, Known<L>>,
    /// Of the last arrival.
    generation: u64,
}

impl<L: Clone> Registry<L> {
    pub fn new(all: Vec<Enrolled>) -> Self {
        let mut r = Registry { boxes: BTreeMap::new(), generation: 0 };
        r.configure(all);
        r
    }

    /// These are known from now on, and no others; the lines that are to be cut.
    pub fn configure(&mut self, all: Vec<Enrolled>) -> Vec<L> {
        let mut before = std::mem::take(&mut self.boxes);
        let mut cut = Vec::new();
        for e in all {
            let mut known = before.remove(&e.serial).unwrap_or_else(|| Known {
                enrolled: e.clone(),
                there: None,
                last: None,
                said: Said::default(),
                reported: None,
                handed: None,
                progress: None,
            });
            // Who comes with another certificate than before has to show it.
            if known.enrolled.fingerprint != e.fingerprint {
                cut.extend(known.there.take().map(|t| t.line));
            }
            known.enrolled = e;
            self.boxes.insert(known.enrolled.serial.clone(), known);
        }
        cut.extend(before.into_values().filter_map(|k| k.there).map(|t| t.line));
        cut
    }

    pub fn claim(&self, c: &Certificate) -> Claim {
        if let Some(k) = self.boxes.values().find(|k| k.enrolled.fingerprint == Some(c.fingerprint)) {
            return Claim::Pinned(k.enrolled.serial.clone());
        }
        let pin = HEXUPPER.encode(&c.fingerprint);
        let Some(serial) = c.serial.as_ref().or(c.common_name.as_ref()) else {
            return Claim::Stranger(format!("its certificate (SHA-256 {pin}) is not pinned here, and names no serial number"));
        };
        match self.boxes.get(serial) {
            None => Claim::Stranger(format!("no box '{serial}' is enrolled here (its certificate has SHA-256 {pin})")),
            Some(k) if k.enrolled.fingerprint.is_some() => {
                Claim::Stranger(format!("box '{serial}' is enrolled with another certificate than this one (SHA-256 {pin})"))
            }
            Some(_) => Claim::IfVouched(serial.clone()),
        }
    }

    /// A box is there, with this certificate. Its number among all arrivals, and the line of before; `None`: it is not known any
    /// more, or not by that certificate.
    pub fn arrived(
        &mut self,
        serial: &str,
        pin: [u8; 32],
        (from, at): (SocketAddr, Stamp),
        said: Said,
        line: L,
    ) -> Option<(u64, Option<L>)> {
        let k = self.boxes.get_mut(serial)?;
        if k.enrolled.fingerprint.is_some_and(|f| f != pin) {
            return None;
        }
        self.generation += 1;
        let before = k.there.replace(There { generation: self.generation, since: at, from, line });
        (k.last, k.reported, k.said) = (Some(at), said.version.is_some().then_some(at), said);
        Some((self.generation, before.map(|t| t.line)))
    }

    /// That line is over; a newer one stays.
    pub fn left(&mut self, serial: &str, generation: u64) {
        if let Some(k) = self.boxes.get_mut(serial) {
            k.there.take_if(|t| t.generation == generation);
        }
    }

    pub fn heard(&mut self, serial: &str, at: Stamp, said: Option<Said>) {
        if let Some(k) = self.boxes.get_mut(serial) {
            k.last = k.last.max(Some(at));
            if let Some(said) = said {
                if said.version.is_some() {
                    k.reported = Some(at);
                }
                k.said = said;
            }
        }
    }

    pub fn handed(&mut self, serial: &str, handed: Handed) {
        if let Some(k) = self.boxes.get_mut(serial) {
            k.handed = Some(handed);
        }
    }

    pub fn told(&mut self, serial: &str, at: Stamp, report: Report) {
        if let Some(k) = self.boxes.get_mut(serial) {
            k.progress = Some((at, report));
        }
    }

    /// It was asked how it is, and has not answered: that is no contact, and what it runs is still known.
    pub fn silent(&mut self, serial: &str, why: String) {
        if let Some(k) = self.boxes.get_mut(serial) {
            (k.said.health, k.said.why) = (None, Some(why));
        }
    }

    pub fn line(&self, serial: &str) -> Option<L> {
        self.boxes.get(serial)?.there.as_ref().map(|t| t.line.clone())
    }

    pub fn lines(&self) -> Vec<L> {
        self.boxes.values().filter_map(|k| k.there.as_ref()).map(|t| t.line.clone()).collect()
    }

    pub fn view(&self, serial: &str) -> Option<View> {
        self.boxes.get(serial).map(Known::view)
    }

    pub fn all(&self) -> Vec<View> {
        self.boxes.values().map(Known::view).collect()
    }

    /// How many there are, of how many.
    pub fn count(&self) -> (usize, usize) {
        (self.boxes.values().filter(|k| k.there.is_some()).count(), self.boxes.len())
    }
}

impl<L> Known<L> {
    fn view(&self) -> View {
        View {
            enrolled: self.enrolled.clone(),
            connected: self.there.as_ref().map(|t| (t.since, t.from)),
            last: self.last,
            said: self.said.clone(),
            reported: self.reported,
            handed: self.handed.clone(),
            progress: self.progress.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ztp::report::Progress;

    fn enrolled(serial: &str, pin: Option<u8>) -> Enrolled {
        Enrolled { serial: serial.into(), fingerprint: pin.map(|p| [p; 32]), project: SmolStr::default(), group: "default".into() }
    }
    fn from() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 4000))
    }
    fn certificate(pin: u8, serial: Option<&str>, name: Option<&str>) -> Certificate {
        Certificate { fingerprint: [pin; 32], serial: serial.map(Into::into), common_name: name.map(Into::into), ..Certificate::default() }
    }

    #[test]
    fn a_certificate_is_a_box_by_its_pin_or_by_its_serial_and_else_a_stranger_with_the_reason() {
        let r = Registry::<()>::new(vec![enrolled("A", Some(1)), enrolled("B", None)]);
        for (c, want) in [
            (certificate(1, None, None), Ok(Claim::Pinned("A".into()))),
            // A pin is a pin, whatever the certificate says.
            (certificate(1, Some("B"), None), Ok(Claim::Pinned("A".into()))),
            (certificate(2, Some("B"), Some("A")), Ok(Claim::IfVouched("B".into()))),
            (certificate(2, None, Some("B")), Ok(Claim::IfVouched("B".into()))),
            (certificate(2, Some("A"), None), Err("'A' is enrolled with another certificate")),
            (certificate(2, Some("C"), Some("B")), Err("no box 'C' is enrolled here")),
            (certificate(2, None, None), Err("names no serial number")),
        ] {
            match (r.claim(&c), want) {
                (got, Ok(want)) => assert_eq!(got, want, "{c:?}"),
                (Claim::Stranger(why), Err(says)) => assert!(why.contains(says), "{why}"),
                (got, Err(says)) => panic!("{got:?} in place of {says}"),
            }
        }
    }

    #[test]
    fn the_newest_line_counts_and_the_end_of_an_older_one_does_not() {
        let mut r = Registry::new(vec![enrolled("A", Some(1))]);
        let (first, none) = r.arrived("A", [1; 32], (from(), Stamp(1)), Said::default(), 1).expect("known");
        let (second, before) = r.arrived("A", [1; 32], (from(), Stamp(5)), Said::default(), 2).expect("known");
        assert_eq!((none, before, r.line("A")), (None, Some(1), Some(2)));
        r.left("A", first);
        assert_eq!((r.line("A"), r.count()), (Some(2), (1, 1)));
        r.heard("A", Stamp(3), None);
        assert_eq!(r.view("A").expect("box").last, Some(Stamp(5)), "it never goes back");
        r.left("A", second);
        let v = r.view("A").expect("box");
        assert_eq!((v.connected, v.last, r.line("A")), (None, Some(Stamp(5)), None));
        assert!(r.arrived("B", [1; 32], (from(), Stamp(6)), Said::default(), 3).is_none());
        // It was let in at the door, and is enrolled with another certificate by now.
        r.configure(vec![enrolled("A", Some(2))]);
        assert!(r.arrived("A", [1; 32], (from(), Stamp(7)), Said::default(), 4).is_none());
        let (_, before) =
            r.arrived("A", [2; 32], (from(), Stamp(8)), Said { version: Some("1".into()), ..Said::default() }, 5).expect("known");
        r.silent("A", "it does not answer".into());
        let v = r.view("A").expect("box");
        assert_eq!(
            (before, v.last, v.said.version.as_deref(), v.said.why.as_deref()),
            (None, Some(Stamp(8)), Some("1"), Some("it does not answer"))
        );
    }

    #[test]
    fn whoever_is_not_enrolled_any_more_or_by_another_certificate_is_cut() {
        let mut r = Registry::new(vec![enrolled("A", Some(1)), enrolled("B", Some(2)), enrolled("C", None)]);
        for (i, (s, pin)) in [("A", 1), ("B", 2), ("C", 3)].into_iter().enumerate() {
            r.arrived(s, [pin; 32], (from(), Stamp(1)), Said::default(), i).expect("known");
        }
        let other = Enrolled { project: "east".into(), ..enrolled("C", None) };
        let mut cut = r.configure(vec![enrolled("A", Some(9)), other, enrolled("D", None)]);
        cut.sort_unstable();
        assert_eq!(cut, [0, 1]);
        assert_eq!((r.line("C"), r.count()), (Some(2), (1, 3)));
        assert_eq!(r.view("C").expect("box").enrolled.project, "east");
        let report = Report { progress: Progress::ConfigError, message: "hm".into() };
        r.told("D", Stamp(9), report.clone());
        r.told("nobody", Stamp(9), report.clone());
        assert_eq!(r.view("D").expect("box").progress, Some((Stamp(9), report)));
        assert!(r.view("B").is_none());
    }
}
