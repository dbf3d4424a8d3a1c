//! From a document and what is here to one item for each thing that is named or was made, and its next step. Pure.
//!
//! ```text
//! the host is set up; packages, then NSDs, then services come; services, then NSDs, then packages go
//! PENDING --step--> APPLYING --> IN_PLACE          FAILED: told, and its step is taken again after a pause
//!                                                  LEFT: no document's affair, or no more
//! ```
//! Only what documents have made is ever ended, removed or changed. Never: takes a step, or knows how long to pause.

use smol_str::SmolStr;
use uuid::Uuid;

use super::{
    document::{Archive, Document, Running, Service, Wish},
    host::{self, HostHere},
};
use crate::model::{
    desired::{ItemKind, Made},
    id::{NsId, OpId},
    op::{OpKind, Phase},
    package::Onboarding,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Pending,
    Applying,
    InPlace,
    Failed,
    Left,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            State::Pending => "PENDING",
            State::Applying => "APPLYING",
            State::InPlace => "IN_PLACE",
            State::Failed => "FAILED",
            State::Left => "LEFT",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub kind: ItemKind,
    pub name: SmolStr,
    pub state: State,
    pub reason: Option<String>,
    pub op: Option<OpId>,
    pub id: Option<Uuid>,
    pub step: Option<Step>,
}

/// What is done next. Each can be done again after a crash in the middle of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A record, unless it is there, and its content from elsewhere.
    Fetch {
        id: Option<Uuid>,
        url: String,
        sha256: [u8; 32],
    },
    /// A service, unless it is there, and its instantiation.
    Instantiate {
        id: Option<Uuid>,
        wish: Running,
    },
    Retry(OpId),
    Rollback(OpId),
    Terminate(NsId),
    DeleteService(NsId),
    /// Of the catalogue.
    Remove(Uuid),
    /// What was made is not here any more.
    Forget,
    /// The host, as far as it can be; kernel arguments go on trial, these ones.
    SetUp {
        trial: Option<[u8; 32]>,
    },
    /// The box, for these kernel arguments.
    Restart {
        args: [u8; 32],
    },
    UndoSetUp,
}

/// What is here.
#[derive(Debug, Clone, Default)]
pub struct Here {
    pub packages: Vec<Archived>,
    pub nsds: Vec<Archived>,
    pub services: Vec<There>,
    /// Packages whose content did not come at the last try.
    pub vain: Vec<SmolStr>,
    /// `None`: neither the document nor one before it speaks of it.
    pub host: Option<HostHere>,
}

#[derive(Debug, Clone)]
pub struct Archived {
    pub id: Uuid,
    /// Of its descriptor, once that is read.
    pub name: Option<SmolStr>,
    pub sha256: Option<[u8; 32]>,
    pub onboarding: Onboarding,
    pub enabled: bool,
    pub users: u32,
    pub failure: Option<String>,
    /// VNFDs that an NSD is made of.
    pub needs: Vec<SmolStr>,
}

#[derive(Debug, Clone)]
pub struct There {
    pub id: NsId,
    pub name: SmolStr,
    pub nsd: SmolStr,
    pub instantiated: bool,
    /// The operation that holds it.
    pub held: Option<Held>,
    /// How the last one that a document began ended, if not well.
    pub ended: Option<(OpId, String)>,
}

#[derive(Debug, Clone)]
pub struct Held {
    pub op: OpId,
    pub kind: OpKind,
    pub phase: Phase,
    pub error: Option<String>,
    /// It stopped at something that it had asked of a VNF.
    pub asked: bool,
}

impl Item {
    pub(super) fn new(kind: ItemKind, name: &SmolStr, state: State) -> Item {
        Item { kind, name: name.clone(), state, reason: None, op: None, id: None, step: None }
    }
    pub(super) fn because(mut self, reason: impl Into<String>) -> Item {
        self.reason = Some(reason.into());
        self
    }
    pub(super) fn next(mut self, step: Step) -> Item {
        self.step = Some(step);
        self
    }
}

pub fn plan(d: &Document, made: &[Made], here: &Here) -> Vec<Item> {
    let of = |kind, name: &SmolStr| made.iter().find(|m| m.kind == kind && m.name == *name);
    let mut all: Vec<Item> =
        d.packages.iter().map(|a| archive(ItemKind::Package, a, of(ItemKind::Package, &a.id), &here.packages)).collect();
    // What did not come at the last try may never: nobody waits for it.
    let comes = |i: &Item| matches!(i.state, State::Pending | State::Applying) && (i.step.is_some() || i.id.is_some());
    let on_the_way = all.iter().any(|i| comes(i) && !here.vain.contains(&i.name));
    for a in &d.nsds {
        let mut item = archive(ItemKind::Nsd, a, of(ItemKind::Nsd, &a.id), &here.nsds);
        if on_the_way && matches!(item.step, Some(Step::Fetch { .. })) {
            item.step = None;
            item = item.because("waits for the packages");
        }
        all.push(item);
    }
    let mut host = host::items(d.host.as_ref(), d.prune, here.host.as_ref());
    // What is set up may take a restart of the box: nothing is begun before it.
    let is_set_up = host.iter().any(|i| i.state == State::Pending && matches!(i.step, Some(Step::SetUp { .. } | Step::Restart { .. })));
    let mut services: Vec<Item> = d.services.iter().map(|s| service(s, of(ItemKind::Service, &s.name), here, &all)).collect();
    for i in services.iter_mut().filter(|i| is_set_up && matches!(i.step, Some(Step::Instantiate { .. }))) {
        (i.step, i.reason) = (None, Some("waits for the host's set-up".to_owned()));
    }
    all.extend(services);
    let named = |m: &Made| match m.kind {
        ItemKind::Package => d.packages.iter().any(|a| a.id == m.name),
        ItemKind::Nsd => d.nsds.iter().any(|a| a.id == m.name),
        ItemKind::Service => d.services.iter().any(|s| s.name == m.name),
        ItemKind::Host => true,
    };
    for kind in [ItemKind::Service, ItemKind::Nsd, ItemKind::Package] {
        for m in made.iter().filter(|m| m.kind == kind && !named(m)) {
            // What it would be refused for, while others go that use it.
            let wait = kind == ItemKind::Package && all.iter().any(|i| i.kind == ItemKind::Nsd && matches!(i.step, Some(Step::Remove(_))));
            all.push(over(m, here, d.prune, wait));
        }
    }
    host.append(&mut all);
    host
}

fn archive(kind: ItemKind, a: &Archive, made: Option<&Made>, here: &[Archived]) -> Item {
    let item = |state| Item::new(kind, &a.id, state);
    let is_it = |h: &&Archived| h.onboarding == Onboarding::Onboarded && h.name.as_ref() == Some(&a.id);
    if let Some(h) = here.iter().find(is_it) {
        let with = |state| Item { id: Some(h.id), ..item(state) };
        return match (h.sha256 == Some(a.sha256), h.enabled) {
            (true, true) => with(State::InPlace),
            (true, false) => with(State::Failed).because("it is disabled: enable it"),
            (false, _) => with(State::Failed)
                .because("another archive is here under this id: what is changed takes a new id, or the old one is removed first"),
        };
    }
    let mine = made.and_then(|m| here.iter().find(|h| h.id == m.id));
    let fetch = |item: Item| match &a.url {
        Some(url) => item.next(Step::Fetch { id: made.map(|m| m.id), url: url.clone(), sha256: a.sha256 }),
        None => item.because("it is not here, and the document names no url: onboard it"),
    };
    let Some(h) = mine else { return fetch(item(State::Pending)) };
    let with = |state| Item { id: Some(h.id), ..item(state) };
    match h.onboarding {
        Onboarding::Uploading | Onboarding::Processing => with(State::Applying),
        Onboarding::Created => fetch(with(State::Pending)),
        Onboarding::Error => {
            let why = h.failure.clone().unwrap_or_else(|| "it cannot be onboarded".to_owned());
            Item { reason: Some(why), ..fetch(with(State::Failed)) }
        }
        Onboarding::Onboarded => {
            let is = h.name.clone().unwrap_or_default();
            with(State::Failed).because(format!("the archive at its url has the id '{is}'"))
        }
    }
}

/// What of the document's own packages and NSDs a service of this NSD has to wait for: nothing runs that is not what was signed.
fn open<'i>(nsd: &SmolStr, here: &Here, archives: &'i [Item]) -> Option<&'i Item> {
    let needs = |name: &SmolStr| here.nsds.iter().any(|n| n.name.as_ref() == Some(nsd) && n.needs.contains(name));
    let is_of = |i: &&Item| match i.kind {
        ItemKind::Package => needs(&i.name),
        ItemKind::Nsd => i.name == *nsd,
        ItemKind::Service | ItemKind::Host => false,
    };
    archives.iter().filter(is_of).find(|i| i.state != State::InPlace)
}

fn service(s: &Service, made: Option<&Made>, here: &Here, archives: &[Item]) -> Item {
    let there = made.and_then(|m| here.services.iter().find(|t| t.id.0 == m.id));
    let stranger = here.services.iter().any(|t| t.name == s.name && there.is_none_or(|o| o.id != t.id));
    let item = |state| Item { id: there.map(|t| t.id.0), ..Item::new(ItemKind::Service, &s.name, state) };
    let wish = match &s.wish {
        Wish::Running(wish) => wish,
        Wish::Absent => {
            return match (made, stranger) {
                (Some(m), _) => gone(m, there),
                (None, true) => item(State::Left).because("a service of that name is here that no document made"),
                (None, false) => item(State::InPlace).because("it is not here"),
            };
        }
    };
    let open = open(&wish.nsd, here, archives);
    let wait = |item: Item, i: &Item| {
        let word = if i.kind == ItemKind::Nsd { "NSD" } else { "package" };
        item.because(format!("waits for {word} '{}', which is not here as it was signed", i.name))
    };
    let start = |item: Item| {
        if let Some(i) = open {
            return wait(item, i);
        }
        let step = Step::Instantiate { id: made.map(|m| m.id), wish: wish.clone() };
        match here.nsds.iter().find(|n| n.name.as_ref() == Some(&wish.nsd) && n.onboarding == Onboarding::Onboarded) {
            Some(n) if n.enabled => item.next(step),
            Some(_) => item.because(format!("NSD '{}' is disabled: enable it", wish.nsd)),
            None => item.because(format!("waits for NSD '{}'", wish.nsd)),
        }
    };
    let Some(t) = there else {
        return match stranger {
            true => item(State::Failed).because("a service of that name is here that no document made: give this one another name"),
            false => start(item(State::Pending)),
        };
    };
    let changed = made.is_some_and(|m| m.digest != wish.digest);
    if let Some(h) = &t.held {
        if h.kind == OpKind::Instantiate && h.phase == Phase::Stuck && (changed || t.nsd != wish.nsd) {
            return taken_back(h, item(State::Pending));
        }
        let item = held(h, item(State::Applying));
        return match open {
            Some(i) if matches!(item.step, Some(Step::Retry(_))) && h.kind == OpKind::Instantiate => wait(Item { step: None, ..item }, i),
            Some(_) | None => item,
        };
    }
    match (t.instantiated, &t.ended) {
        (true, _) if changed => item(State::Failed)
            .because("it runs as an earlier document had it: what is changed takes a new name, or is ABSENT in a document before"),
        // Somebody has given it up half made.
        (true, Some((op, why))) => Item { op: Some(*op), ..item(State::Failed) }.because(why),
        (true, None) => item(State::InPlace),
        // Nothing of it is there.
        (false, _) if t.nsd != wish.nsd => {
            item(State::Pending).because("it was made of another NSD, and is made anew").next(Step::DeleteService(t.id))
        }
        // That it did not come up as it was says nothing of how it shall be.
        (false, Some(_)) if changed => start(item(State::Pending)),
        (false, Some((op, why))) => {
            let failed = start(item(State::Failed));
            let reason = failed.reason.clone().unwrap_or_else(|| why.clone());
            Item { op: Some(*op), reason: Some(reason), ..failed }
        }
        (false, None) => start(item(State::Pending)),
    }
}

/// A service that an operation has in its hands.
fn held(h: &Held, item: Item) -> Item {
    let item = Item { op: Some(h.op), ..item };
    if h.phase != Phase::Stuck {
        return item;
    }
    let why = h.error.clone().unwrap_or_else(|| "its operation failed".to_owned());
    if h.asked && matches!(h.kind, OpKind::Instantiate | OpKind::Terminate) {
        let why = format!("{why}; what it has asked of a VNF might be done twice: retry the operation, or fail it, by hand");
        return Item { state: State::Failed, ..item }.because(why);
    }
    let item = Item { state: State::Failed, ..item }.because(why);
    match h.kind {
        OpKind::Instantiate | OpKind::Terminate => item.next(Step::Retry(h.op)),
        // Somebody else's: he decides.
        OpKind::Start
        | OpKind::Stop
        | OpKind::ModifyInfo
        | OpKind::Scale
        | OpKind::ScaleToLevel
        | OpKind::Heal
        | OpKind::ReloadPf
        | OpKind::RestorePf
        | OpKind::Update
        | OpKind::CreateSnapshot
        | OpKind::RevertToSnapshot
        | OpKind::ChangeExtConn
        | OpKind::ChangeFlavour
        | OpKind::ChangePackage => item,
    }
}

/// What did not come up, and is not to come up so.
fn taken_back(h: &Held, item: Item) -> Item {
    Item { op: Some(h.op), ..item }.because("its instantiation failed and is rolled back").next(Step::Rollback(h.op))
}

/// A service that goes.
fn gone(m: &Made, there: Option<&There>) -> Item {
    let item = |state| Item { id: Some(m.id), ..Item::new(m.kind, &m.name, state) };
    let Some(t) = there else { return item(State::Pending).because("it is gone").next(Step::Forget) };
    match &t.held {
        Some(h) if h.phase == Phase::Stuck && h.kind == OpKind::Instantiate => taken_back(h, item(State::Pending)),
        Some(h) => held(h, item(State::Applying)),
        None if t.instantiated => item(State::Pending).next(Step::Terminate(t.id)),
        None => item(State::Pending).next(Step::DeleteService(t.id)),
    }
}

/// What the document does not name, and an earlier one made.
fn over(m: &Made, here: &Here, prune: bool, wait: bool) -> Item {
    let item = |state| Item { id: Some(m.id), ..Item::new(m.kind, &m.name, state) };
    let of = match m.kind {
        ItemKind::Service | ItemKind::Host => {
            let there = here.services.iter().find(|t| t.id.0 == m.id);
            return match prune || there.is_none() {
                true => gone(m, there),
                false => item(State::Left).because("an earlier document made it, and this one does not name it"),
            };
        }
        ItemKind::Nsd => &here.nsds,
        ItemKind::Package => &here.packages,
    };
    match of.iter().find(|h| h.id == m.id) {
        None => item(State::Pending).because("it is gone").next(Step::Forget),
        Some(_) if !prune => item(State::Left).because("an earlier document made it, and this one does not name it"),
        Some(h) if h.users > 0 => item(State::Pending).because(format!("it is in use by {}", h.users)),
        Some(h) if matches!(h.onboarding, Onboarding::Uploading | Onboarding::Processing) => item(State::Pending),
        Some(_) if wait => item(State::Pending).because("NSDs go before it"),
        Some(h) => item(State::Pending).next(Step::Remove(h.id)),
    }
}
