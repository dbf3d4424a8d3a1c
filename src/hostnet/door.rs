//! What reaches the box itself from outside, where the configuration leaves that to Bothy: answers, what the network
//! itself needs, what Bothy listens on, and what somebody named. All else is dropped, and nothing is forwarded but for guests.
//!
//! Owns the rules, and that they are there. Never: how they come into the kernel, address translation (`host::nft`).

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

use super::port::PacketFilter;
use crate::model::{
    error::Result,
    health::{Condition, ConditionState},
    id::IfKind,
    opening::Opening,
    order::Order as _,
};

/// The chains of the table. Those who have an address by DHCP need its answers, and guests whose host end has a server ask it.
pub fn rules(openings: &[Opening]) -> String {
    let guests = format!("iifname \"{}*\"", IfKind::Host.lead());
    let mut out = format!(
        "\tchain input {{\n\t\ttype filter hook input priority filter; policy drop;\n\
         \t\tct state established,related accept\n\
         \t\tct state invalid drop\n\
         \t\tiif \"lo\" accept\n\
         \t\tmeta l4proto {{ icmp, igmp, ipv6-icmp }} accept\n\
         \t\tudp sport 67 udp dport 68 accept\n\
         \t\tip6 saddr fe80::/10 udp sport 547 udp dport 546 accept\n\
         \t\t{guests} udp dport {{ 67, 547 }} accept\n"
    );
    let mut all = openings.to_vec();
    all.order();
    all.dedup();
    for o in &all {
        let port = format!("{} dport {} accept", if o.tcp { "tcp" } else { "udp" }, o.port);
        for v4 in [true, false] {
            let family = if v4 { "ip" } else { "ip6" };
            let mut line = String::new();
            match o.at {
                Some(at) if at.is_ipv4() != v4 => continue,
                Some(at) => drop(write!(line, "{family} daddr {at} ")),
                None => {}
            }
            let from: Vec<String> = o.from.iter().filter(|c| c.is_ipv4() == v4).map(|c| c.network().to_string()).collect();
            if from.is_empty() && !o.from.is_empty() {
                continue;
            }
            if !from.is_empty() {
                let _ = write!(line, "{family} saddr {{ {} }} ", from.join(", "));
            }
            // Without an address one line is of both families.
            let is_of_both = line.is_empty();
            let _ = writeln!(out, "\t\t{line}{port}");
            if is_of_both {
                break;
            }
        }
    }
    let _ = write!(
        out,
        "\t}}\n\tchain forward {{\n\t\ttype filter hook forward priority filter; policy drop;\n\
         \t\tct state established,related accept\n\
         \t\t{guests} accept\n\
         \t\tct status dnat accept\n\t}}\n"
    );
    out
}

/// Keeps the rules in the kernel.
pub struct Door {
    filter: Arc<dyn PacketFilter>,
    /// `None`: that is somebody else's.
    wanted: Mutex<Option<Vec<Opening>>>,
    last: Mutex<Option<Result<()>>>,
    /// One look at a time; whoever asks how it is does not wait for it.
    one: Mutex<()>,
}

impl Door {
    pub fn new(filter: Arc<dyn PacketFilter>, wanted: Option<Vec<Opening>>) -> Door {
        Door { filter, wanted: Mutex::new(wanted), last: Mutex::default(), one: Mutex::default() }
    }

    pub fn set(&self, wanted: Option<Vec<Opening>>) {
        *lock(&self.wanted) = wanted;
        self.look();
    }

    /// Puts right what is not as it should be.
    pub fn look(&self) {
        let _one = lock(&self.one);
        let wanted = lock(&self.wanted).clone();
        let done = self.filter.ensure(wanted.as_deref().map(rules).as_deref());
        let mut last = lock(&self.last);
        match &done {
            Ok(true) if last.is_some() => tracing::warn!("the rules of what reaches the box were otherwise, and are put right"),
            // What is not Bothy's is not there either where nobody can look.
            Err(_) if wanted.is_none() => {}
            Err(fault) if !matches!(*last, Some(Err(_))) => tracing::error!("what reaches the box is not what it should be: {fault:?}"),
            Ok(_) | Err(_) => {}
        }
        *last = Some(done.map(drop));
    }

    pub fn condition(&self) -> Option<Condition> {
        let wanted = lock(&self.wanted).clone();
        let open = wanted.as_ref()?;
        let (state, text) = match &*lock(&self.last) {
            None => (ConditionState::Pending, "not looked at yet".to_owned()),
            Some(Err(fault)) => (ConditionState::Failed, fault.detail()),
            Some(Ok(())) if open.is_empty() => (ConditionState::Ok, "nothing outside reaches the box".to_owned()),
            Some(Ok(())) => {
                let all: Vec<String> = open.iter().map(ToString::to_string).collect();
                (ConditionState::Ok, format!("reached from outside: {}", all.join("; ")))
            }
        };
        Some(Condition::new("firewall", state, text))
    }
}

fn lock<T>(m: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::error::Fault;

    fn opening(tcp: bool, port: u16, at: Option<&str>, from: &[&str]) -> Opening {
        Opening { tcp, port, at: at.map(|a| a.parse().expect("ip")), from: from.iter().map(|c| c.parse().expect("cidr")).collect() }
    }

    #[test]
    fn each_opening_is_a_line_of_its_family() {
        let none = rules(&[]);
        for (o, lines) in [
            (opening(true, 22, None, &[]), &["tcp dport 22 accept"][..]),
            (opening(true, 22, Some("10.0.0.1"), &[]), &["ip daddr 10.0.0.1 tcp dport 22 accept"]),
            (
                opening(false, 53, Some("fd00::1"), &["fd01::/64", "10.0.0.0/8"]),
                &["ip6 daddr fd00::1 ip6 saddr { fd01::/64 } udp dport 53 accept"],
            ),
            (
                opening(true, 22, None, &["192.0.2.9/24", "fd01::/64", "198.51.100.1/32"]),
                &["ip saddr { 192.0.2.0/24, 198.51.100.1/32 } tcp dport 22 accept", "ip6 saddr { fd01::/64 } tcp dport 22 accept"],
            ),
            (opening(true, 22, Some("10.0.0.1"), &["fd01::/64"]), &[]),
        ] {
            let text = rules(&[o.clone(), o]);
            let more: Vec<&str> = text.lines().filter(|l| !none.lines().any(|n| n == *l)).map(str::trim).collect();
            assert_eq!(more, lines);
        }
        assert!(none.contains("iifname \"bh*\" udp dport { 67, 547 } accept"), "{none}");
    }

    /// Before Bothy has started, the box is as shut as with it.
    #[test]
    fn the_images_rules_are_those_of_nothing_listening() {
        let image = include_str!("../../image/files/etc/nftables.conf");
        let begin = image.find("table inet bothy_door {\n").expect("the table");
        assert_eq!(&image[begin..], format!("table inet bothy_door {{\n{}}}\n", rules(&[])));
    }

    #[test]
    fn a_listener_on_the_loopback_opens_nothing() {
        let of = |at: &str| Opening::of_listener(true, at.parse().expect("ip"), 9443).map(|o| o.to_string());
        assert_eq!((of("127.0.0.1"), of("::1")), (None, None));
        assert_eq!((of("0.0.0.0").as_deref(), of("192.0.2.1").as_deref()), (Some("9443/tcp"), Some("9443/tcp at 192.0.2.1")));
    }

    struct Kernel(Mutex<(Option<String>, bool)>);
    impl PacketFilter for Kernel {
        fn ensure(&self, rules: Option<&str>) -> Result<bool> {
            let mut k = lock(&self.0);
            if k.1 {
                return Err(Fault::transient("nft is not there"));
            }
            let changed = k.0.as_deref() != rules;
            k.0 = rules.map(str::to_owned);
            Ok(changed)
        }
    }

    #[test]
    fn what_is_shut_is_told_and_what_somebody_flushed_comes_back() {
        let kernel = Arc::new(Kernel(Mutex::default()));
        let door = Door::new(kernel.clone(), Some(vec![opening(true, 9443, None, &[])]));
        let said = || door.condition().map(|c| (c.state, c.text.to_string())).expect("one");
        assert_eq!(said().0, ConditionState::Pending);
        door.look();
        assert_eq!(said(), (ConditionState::Ok, "reached from outside: 9443/tcp".to_owned()));
        lock(&kernel.0).0 = None;
        door.look();
        assert!(lock(&kernel.0).0.as_deref().is_some_and(|r| r.contains("tcp dport 9443 accept")));
        lock(&kernel.0).1 = true;
        door.look();
        assert_eq!(said().0, ConditionState::Failed);
        lock(&kernel.0).1 = false;
        door.set(None);
        assert!(door.condition().is_none() && lock(&kernel.0).0.is_none());
    }
}
