//! An update whose bundle comes from a URL, as far as it is the updater's: asked for, on its way, here or given up.
//!
//! Never: how a URL is fetched. Whoever does that asks `wanted` what is to come, also after a start of Bothy.

use std::sync::Arc;

use camino::Utf8Path;
use smol_str::SmolStr;

use super::{Updater, port::Take, work::State};
use crate::model::{
    error::Result,
    update::{Asked, UpdateEvent, UpdateState},
};

/// What is to come. The same URL asked for again is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub url: SmolStr,
    fetch: u64,
}

fn wanted(s: &State) -> Option<Wanted> {
    let u = s.journal.update.as_ref().filter(|u| u.state == UpdateState::Fetching)?;
    Some(Wanted { url: u.url.clone()?, fetch: s.fetches })
}

impl Updater {
    /// Takes note of where the bundle is.
    pub fn fetch(&self, url: &str, asked: Asked) -> Result<()> {
        let mut update = self.anew(UpdateState::Fetching, asked)?;
        update.url = Some(url.into());
        self.lock().fetches += 1;
        self.enter(update)
    }

    /// The bundle that is to come, if there is one.
    pub fn wanted(&self) -> Option<Wanted> {
        wanted(&self.lock())
    }

    /// So many of the bundle's bytes are here, of so many if that is known.
    pub fn coming(&self, what: &Wanted, got: u64, of: Option<u64>) {
        let percent = of.filter(|of| *of > 0).map_or(0, |of| (got.min(of) * 100 / of) as u8);
        let text = of.map_or_else(|| format!("{} MiB are here", got >> 20), |of| format!("{} of {} MiB are here", got >> 20, of >> 20));
        let mut s = self.lock();
        if wanted(&s).as_ref() == Some(what) {
            s.progress = Some((percent, text));
        }
    }

    /// It is here, or will not come. One that was called off meanwhile is left.
    pub fn fetched(self: &Arc<Self>, what: &Wanted, got: Result<&Utf8Path>) {
        if self.wanted().as_ref() != Some(what) {
            return;
        }
        self.set_progress(None);
        let taken = got.and_then(|path| self.slots.take(path, Take::Move)).and_then(|file| {
            let known = self.change(|u| u.file = Some(file.as_str().into()), Some(&UpdateEvent::Fetched));
            known.inspect_err(|_| self.tidy())
        });
        match taken {
            Ok(()) => self.go_on(),
            Err(fault) => self.broke(&fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Rig, Run};
    use crate::{
        model::{
            error::Fault,
            update::{Asked, UpdateState},
        },
        sim::slots::bundle,
    };

    const URL: &str = "https://x.example/1.1.raucb?key=1";

    #[test]
    fn a_bundle_from_a_url_is_wanted_until_it_is_here_also_by_the_next_start() {
        let rig = Rig::new();
        let run = rig.start(true).expect("up");
        assert_eq!(run.updater.wanted(), None);
        run.updater.fetch(URL, Asked { reboot: false, ..Asked::default() }).expect("begun");
        assert_eq!((run.name(), run.updater.closed()), ("FETCHING", None));
        let what = run.updater.wanted().expect("wanted");
        assert_eq!(what.url, URL);
        run.updater.coming(&what, 3 << 20, Some(12 << 20));
        let shown = |run: &Run| run.updater.status().expect("status").progress;
        assert_eq!(shown(&run), Some((25, "3 of 12 MiB are here".to_owned())));
        for begun in [run.updater.fetch(URL, Asked::default()), run.install(&rig, &bundle("1.1", 1), Asked::default())] {
            assert!(begun.expect_err("refused").detail().contains("another update is FETCHING"));
        }
        let held = run.updater.restart_box().expect_err("refused");
        assert!(held.text().contains("FETCHING"), "{held}");
        run.updater.stop();

        let run = rig.start(true).expect("up");
        let what = run.updater.wanted().expect("wanted");
        assert_eq!((run.name(), what.url.as_str(), shown(&run)), ("FETCHING", URL, None));
        run.updater.fetched(&what, Ok(&rig.file(&bundle("1.1", 1))));
        run.updater.settle();
        assert_eq!((run.name(), run.updater.wanted(), shown(&run), rig.sim.bundles()), ("ARMED", None, None, 0));
    }

    #[test]
    fn one_that_cannot_be_had_or_was_called_off_leaves_nothing() {
        let rig = Rig::new();
        let run = rig.start(true).expect("up");
        run.updater.fetch(URL, Asked::default()).expect("begun");
        let first = run.updater.wanted().expect("wanted");
        run.updater.fetched(&first, Err(Fault::transient("nobody is there")));
        assert_eq!(run.state(), Some(UpdateState::Failed { why: vec!["nobody is there".to_owned()] }));

        run.updater.fetch(URL, Asked::default()).expect("begun");
        // What becomes of the first is nothing to it, though the URL is the same.
        run.updater.fetched(&first, Err(Fault::transient("late")));
        assert_eq!(run.name(), "FETCHING");
        let second = run.updater.wanted().expect("wanted");
        run.updater.coming(&second, 1, None);
        run.updater.call_off("the test").expect("called off");
        run.updater.coming(&second, 2, None);
        run.updater.fetched(&second, Ok(&rig.file(&bundle("1.1", 1))));
        let status = run.updater.status().expect("status");
        assert_eq!((run.name(), status.progress, rig.sim.bundles()), ("CANCELLED", None, 0));
        run.install(&rig, &bundle("1.1", 1), Asked { reboot: false, ..Asked::default() }).expect("begun");
        run.updater.settle();
        assert_eq!(run.name(), "ARMED");
    }
}
