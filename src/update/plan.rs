//! Whether an update may begin, and whether a bundle may be installed: every reason why not, at once.
//!
//! Pure. Never: asks the box.

use std::cmp::Ordering;

use crate::model::{
    error::{Fault, Result},
    host::BootArgs,
    update::{Asked, BootKind, Bundle, FailedVersion, Running, Slot, UpdateState},
};

/// How things stand when an update is asked for.
#[derive(Debug, Clone)]
pub struct Situation {
    /// `None`: the box has no slots.
    pub running: Option<Running>,
    /// `None`: no boot loader listens to Bothy.
    pub boot: Option<BootArgs>,
    /// The update that was last.
    pub state: Option<UpdateState>,
    /// Operations under way, as people know them.
    pub in_flight: Vec<String>,
    pub failed: Vec<FailedVersion>,
    /// The host goes down.
    pub going_down: bool,
}

/// The slot that the update goes to. `bundle`: what is known of it by now.
pub fn plan(s: &Situation, asked: &Asked, bundle: Option<&Bundle>) -> Result<Slot> {
    let Some(running) = &s.running else {
        return Err(Fault::conflict(
            "this box has no second slot to write an update to: its system is updated by its own means (packages, a new image); see README, Updates",
        ));
    };
    let mut why = Vec::new();
    match &s.boot {
        None => why.push("no boot loader listens to bothy: [host] grubenv names no environment block".to_owned()),
        Some(b) if b.slot != running.slot || b.slot_try.is_some() => why.push(format!(
            "slot {} runs, and the boot loader has slot {}{}: one of them is on trial, or was booted by hand; restart the box first",
            running.slot,
            b.slot,
            b.slot_try.map(|t| format!(" and tries {t}")).unwrap_or_default()
        )),
        Some(b) if b.armed && b.trial.is_some() => {
            why.push("kernel arguments wait for their trial: restart the box first, or `bothy host apply --undo`".to_owned());
        }
        Some(_) => {}
    }
    if running.kind == BootKind::Plain {
        why.push("the box was started by the boot menu's entry without arguments: restart it first".to_owned());
    }
    if let Some(state) = s.state.as_ref().filter(|s| !s.is_over()) {
        why.push(format!("another update is {}", state.name()));
    }
    if s.going_down {
        why.push("the host is going down".to_owned());
    }
    if asked.drain_s.is_none() {
        why.extend(s.in_flight.iter().map(|o| format!("{o} is under way: wait for it, or let the update wait (drain)")));
    }
    if let Some(b) = bundle {
        if b.compatible != running.compatible {
            why.push(format!("the bundle is for {}, this box is {}", b.compatible, running.compatible));
        }
        if b.version.age(&running.version) == Ordering::Equal {
            why.push(format!("version {} runs already", running.version));
        }
        if b.security < running.security {
            why.push(format!(
                "its security counter is {}, that of the running system {}: it has holes that were closed",
                b.security, running.security
            ));
        }
        if let Some(least) = b.min_from.as_ref().filter(|m| running.version.age(m) == Ordering::Less) {
            why.push(format!("it follows version {least} or later, and {} runs: update to one in between first", running.version));
        }
        if let Some(f) = s.failed.iter().find(|f| f.version == b.version).filter(|_| !asked.again) {
            let reasons = if f.why.is_empty() { "for a reason not known".to_owned() } else { f.why.join("; ") };
            why.push(format!(
                "version {} was tried and did not stay ({reasons}): it is tried once more only if that is asked for (again)",
                f.version
            ));
        }
    }
    if why.is_empty() { Ok(running.slot.other()) } else { Err(Fault::conflict("the box cannot be updated so").with_reasons(why)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        host::KernelArgs,
        update::{Verified, Version},
    };

    fn v(s: &str) -> Version {
        s.parse().expect("a version")
    }
    fn fine() -> Situation {
        Situation {
            running: Some(Running {
                slot: Slot::A,
                kind: BootKind::Committed,
                version: v("1.2"),
                security: 3,
                compatible: "bothy-x86_64".into(),
                verified: Verified::SecureBoot,
                refused_args: false,
                boot_id: "b-1".into(),
                uptime_s: 1,
            }),
            boot: Some(BootArgs::default()),
            state: None,
            in_flight: Vec::new(),
            failed: Vec::new(),
            going_down: false,
        }
    }
    fn bundle() -> Bundle {
        Bundle { compatible: "bothy-x86_64".into(), version: v("1.3"), security: 3, min_from: Some(v("1.2")) }
    }
    fn running(s: &mut Situation) -> &mut Running {
        s.running.as_mut().expect("slots")
    }

    #[test]
    fn an_update_goes_to_the_other_slot() {
        let mut s = fine();
        assert_eq!(plan(&s, &Asked::default(), Some(&bundle())).expect("planned"), Slot::B);
        running(&mut s).slot = Slot::B;
        s.boot = Some(BootArgs { slot: Slot::B, ..BootArgs::default() });
        for over in
            [UpdateState::Committed, UpdateState::RolledBack { why: vec![] }, UpdateState::Failed { why: vec![] }, UpdateState::Cancelled]
        {
            s.state = Some(over);
            assert_eq!(plan(&s, &Asked::default(), Some(&bundle())).expect("planned"), Slot::A);
        }
        // To an older version too, where nothing forbids it.
        assert!(plan(&s, &Asked::default(), Some(&Bundle { version: v("1.1"), ..bundle() })).is_ok());
    }

    #[test]
    fn each_reason_why_not_is_told() {
        type Change = (&'static str, fn(&mut Situation, &mut Bundle));
        let cases: &[Change] = &[
            ("no second slot", |s, _| s.running = None),
            ("[host] grubenv", |s, _| s.boot = None),
            ("slot A runs, and the boot loader has slot B", |s, _| s.boot = Some(BootArgs { slot: Slot::B, ..BootArgs::default() })),
            ("and tries B", |s, _| s.boot = Some(BootArgs::default().trying(Slot::B))),
            ("kernel arguments wait", |s, _| {
                s.boot = Some(BootArgs { trial: Some(KernelArgs::default()), armed: true, ..BootArgs::default() })
            }),
            ("without arguments", |s, _| running(s).kind = BootKind::Plain),
            ("another update is WRITING", |s, _| s.state = Some(UpdateState::Writing)),
            ("another update is ON_TRIAL", |s, _| s.state = Some(UpdateState::OnTrial { starts: 1 })),
            ("is going down", |s, _| s.going_down = true),
            ("operation 7 is under way", |s, _| s.in_flight.push("operation 7".into())),
            ("is for bothy-arm", |_, b| b.compatible = "bothy-arm".into()),
            ("runs already", |_, b| b.version = v("1.02")),
            ("security counter is 2, that of the running system 3", |_, b| b.security = 2),
            ("follows version 1.10", |_, b| b.min_from = Some(v("1.10"))),
            ("did not stay (no libvirt)", |s, _| s.failed.push(FailedVersion { version: v("1.3"), why: vec!["no libvirt".into()] })),
        ];
        for (words, change) in cases {
            let (mut s, mut b) = (fine(), bundle());
            change(&mut s, &mut b);
            let e = plan(&s, &Asked::default(), Some(&b)).expect_err(words);
            assert!(e.detail().contains(words) && e.reasons().len() <= 1, "{words}: {e}");
            assert_eq!(e.kind(), crate::model::error::Kind::Conflict);
        }
        let (mut s, mut b) = (fine(), bundle());
        for (_, change) in cases.iter().filter(|(w, _)| !w.contains("second slot") && !w.contains("grubenv")) {
            change(&mut s, &mut b);
        }
        assert!(plan(&s, &Asked::default(), Some(&b)).expect_err("all").reasons().len() >= 9);
    }

    #[test]
    fn who_asks_for_it_gets_a_failed_version_again_and_waits_for_operations() {
        let mut s = fine();
        s.failed.push(FailedVersion { version: v("1.3"), why: vec![] });
        s.in_flight.push("operation 7".into());
        let asked = Asked { again: true, drain_s: Some(60), ..Asked::default() };
        assert_eq!(plan(&s, &asked, Some(&bundle())).expect("planned"), Slot::B);
        assert_eq!(plan(&s, &Asked::default(), None).expect_err("under way").reasons().len(), 1);
    }
}
