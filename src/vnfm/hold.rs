//! Which guests of a VNF the operation that holds it has in hand: a look at the host leaves them to it, and
//! treats the others as if nobody held the VNF. Pure.
//!
//! | the operation | has in hand |
//! |---|---|
//! | runs, forward or backward | the guests that its steps name |
//! | waits for its owner's grant | those that it is to add: for days, maybe, and nothing of it has begun |
//! | waits for its turn, or is stuck | those that it is to add, or that scaling in takes away; all, where it is to stop or end the VNF, or to take it back to a snapshot, to another flavour or another package |
//!
//! One that is stuck moves nothing by itself: what it does not have in hand must not wait for its client.
//! Never: the store, or what becomes of a guest.

use std::collections::HashSet;

use crate::model::{
    id::{OpId, VnfcId},
    op::{OpKind, Operation, Phase},
    step::{PfStep, PlanStep, Step, VnfStep},
    vnf::Change,
};

/// The guests that a step is about.
fn guests_of(step: &Step) -> Vec<VnfcId> {
    match step {
        Step::Vnf(s) => match s {
            VnfStep::Define(d) => vec![d.id],
            VnfStep::Medium(m) | VnfStep::Rewrite { after: m, .. } => vec![m.vnfc],
            VnfStep::Redefine { after, .. } => vec![after.id],
            VnfStep::Start(id) | VnfStep::RemoveGuest(id) | VnfStep::RemoveMedium(id) => vec![*id],
            VnfStep::Ready { vnfc, .. }
            | VnfStep::Stop { vnfc, .. }
            | VnfStep::Give { vnfc, .. }
            | VnfStep::RevertDisk { vnfc, .. }
            | VnfStep::Grow { vnfc, .. } => vec![*vnfc],
            VnfStep::Capture { guests, .. } => guests.iter().map(|g| g.vnfc).collect(),
            VnfStep::Shed(s) => s.gone.iter().map(|g| g.vnfc).collect(),
            VnfStep::Segment(_)
            | VnfStep::Image(_)
            | VnfStep::Disk(_)
            | VnfStep::RemoveDisk(_)
            | VnfStep::RemoveSegment(_)
            | VnfStep::Attach(_)
            | VnfStep::TakeBack(_)
            | VnfStep::Properties { .. }
            | VnfStep::Package(_)
            | VnfStep::Ask(_)
            // Whether a guest runs is nothing to it.
            | VnfStep::Move(_)
            | VnfStep::Abroad(_) => Vec::new(),
        },
        Step::Pf(PfStep::Unplug { user, .. } | PfStep::Plug(user)) => vec![user.guest],
        Step::Pf(PfStep::Reload(_) | PfStep::Restore(_)) | Step::Ns(_) => Vec::new(),
    }
}

enum Hand {
    All,
    These(HashSet<VnfcId>),
}

pub(super) struct Hold {
    pub op: OpId,
    /// It waits for retry, rollback or fail.
    pub stuck: bool,
    /// It waits for its grant: the VNF is what it was.
    pub waits: bool,
    hand: Hand,
    added: HashSet<VnfcId>,
    removed: HashSet<VnfcId>,
}

impl Hold {
    /// `steps` are read of an operation that runs; the others' do not count.
    pub fn of(op: &Operation, steps: &[PlanStep], change: Option<&Change>) -> Hold {
        let set = |of: fn(&Change) -> &Vec<VnfcId>| change.map(|c| of(c).iter().copied().collect()).unwrap_or_default();
        let (added, removed): (HashSet<VnfcId>, HashSet<VnfcId>) = (set(|c| &c.added), set(|c| &c.removed));
        let phase = op.state.phase();
        let hand = match phase {
            Phase::Forward | Phase::Backward => Hand::These(steps.iter().flat_map(|s| guests_of(&s.step)).collect()),
            Phase::Held if op.awaits_grant() => Hand::These(added.clone()),
            Phase::Held | Phase::Stuck => match op.kind {
                // Of a VNF that is half way back some disks are of one time and some of another, and between two
                // flavours or packages some guests are of one and some of the other.
                OpKind::Stop | OpKind::Terminate | OpKind::RevertToSnapshot | OpKind::ChangeFlavour | OpKind::ChangePackage => Hand::All,
                OpKind::Scale | OpKind::ScaleToLevel => Hand::These(added.union(&removed).copied().collect()),
                OpKind::Instantiate
                | OpKind::Start
                | OpKind::ModifyInfo
                | OpKind::Heal
                | OpKind::ReloadPf
                | OpKind::RestorePf
                | OpKind::CreateSnapshot
                | OpKind::ChangeExtConn
                | OpKind::Update => Hand::These(added.clone()),
            },
            Phase::Over => Hand::These(HashSet::new()),
        };
        Hold { op: op.id, stuck: phase == Phase::Stuck, waits: op.awaits_grant(), hand, added, removed }
    }

    /// One of which nothing is known is left all guests.
    pub fn unknown(op: OpId) -> Hold {
        Hold { op, stuck: false, waits: false, hand: Hand::All, added: HashSet::new(), removed: HashSet::new() }
    }

    pub fn has(&self, guest: VnfcId) -> bool {
        match &self.hand {
            Hand::All => true,
            Hand::These(guests) => guests.contains(&guest),
        }
    }

    /// It was to bring this guest, and does not move: the guest is missed.
    pub fn owes(&self, guest: VnfcId) -> bool {
        self.stuck && self.added.contains(&guest) && self.has(guest)
    }

    /// That its domain is gone is no fault: it was to go.
    pub fn removes(&self, guest: VnfcId) -> bool {
        self.removed.contains(&guest)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::{
        id::{ProjectId, VnfId},
        op::{OpState, PLAN_FORMAT, Target, VnfOpState},
        time::Stamp,
    };

    const fn id(n: u128) -> VnfcId {
        VnfcId(Uuid::from_u128(n))
    }
    const OLD: VnfcId = id(1);
    const NEW: VnfcId = id(2);
    const OTHER: VnfcId = id(3);

    #[test]
    fn an_operation_has_in_hand_what_it_will_bring_where_it_belongs() {
        use VnfOpState::{Completed, FailedTemp, Processing, RollingBack, Starting};
        let vnf = VnfId(Uuid::from_u128(9));
        let op_id = OpId(Uuid::from_u128(8));
        let change = |added: &[VnfcId], removed: &[VnfcId]| Change {
            vnf,
            op: op_id,
            added: added.to_vec(),
            removed: removed.to_vec(),
            scale: Vec::new(),
            level: "default".into(),
        };
        let of = |kind, state, parent, named: &[VnfcId], change: &Change| {
            let op = Operation {
                id: op_id,
                project: ProjectId::DEFAULT,
                target: Target::Vnf(vnf),
                kind,
                state: OpState::Vnf(state),
                created: Stamp(1),
                state_entered: Stamp(1),
                request: String::new(),
                error: None,
                warnings: Vec::new(),
                cancel: None,
                parent,
                automatic: false,
                plan_format: PLAN_FORMAT,
                steps: 0,
                attempt: 0,
                sequence: 1,
            };
            let step =
                |(i, g): (usize, &VnfcId)| PlanStep { op: op_id, index: i as u32, after: Vec::new(), step: Step::Vnf(VnfStep::Start(*g)) };
            let steps: Vec<PlanStep> = named.iter().enumerate().map(step).collect();
            Hold::of(&op, &steps, Some(change))
        };
        let (out, shrink, heal) = (change(&[NEW], &[]), change(&[], &[OLD]), change(&[NEW], &[OLD]));
        let nothing: &[VnfcId] = &[];
        for (kind, state, named, change, has, owes) in [
            (OpKind::Scale, Processing, &[NEW][..], &out, &[NEW][..], nothing),
            (OpKind::Scale, RollingBack, &[NEW], &out, &[NEW], nothing),
            (OpKind::Scale, FailedTemp, &[NEW], &out, &[NEW], &[NEW]),
            (OpKind::Scale, FailedTemp, &[OLD], &shrink, &[OLD], nothing),
            (OpKind::Terminate, Starting, &[OLD], &change(&[], &[]), &[OLD, NEW, OTHER], nothing),
            (OpKind::Heal, Starting, &[OLD, NEW], &heal, &[NEW], nothing),
            (OpKind::Heal, Processing, &[OLD, NEW], &heal, &[OLD, NEW], nothing),
            (OpKind::Heal, FailedTemp, &[OLD, NEW], &heal, &[NEW], &[NEW]),
            (OpKind::Heal, Completed, &[OLD, NEW], &heal, nothing, nothing),
            (OpKind::Start, FailedTemp, &[OLD], &change(&[], &[]), nothing, nothing),
            (OpKind::ReloadPf, FailedTemp, &[OLD], &change(&[], &[]), nothing, nothing),
            (OpKind::CreateSnapshot, FailedTemp, &[OLD], &change(&[], &[]), nothing, nothing),
            (OpKind::RevertToSnapshot, FailedTemp, &[OLD], &change(&[], &[]), &[OLD, NEW, OTHER], nothing),
            (OpKind::ChangeFlavour, FailedTemp, &[OLD], &change(&[], &[]), &[OLD, NEW, OTHER], nothing),
            (OpKind::ChangePackage, FailedTemp, &[OLD], &change(&[], &[]), &[OLD, NEW, OTHER], nothing),
            (OpKind::Stop, FailedTemp, &[OLD], &change(&[], &[]), &[OLD, NEW, OTHER], nothing),
            (OpKind::Terminate, FailedTemp, &[OLD], &change(&[], &[]), &[OLD, NEW, OTHER], nothing),
        ] {
            let hold = of(kind, state, Some(op_id), named, change);
            let told = |is: &dyn Fn(VnfcId) -> bool| [OLD, NEW, OTHER].into_iter().filter(|g| is(*g)).collect::<Vec<_>>();
            assert_eq!(told(&|g| hold.has(g)), has, "{kind:?} {state:?}");
            assert_eq!(told(&|g| hold.owes(g)), owes, "{kind:?} {state:?}");
        }
        // In no service: it waits for its grant, maybe for days.
        let none = change(&[], &[]);
        for (kind, change, has) in [
            (OpKind::Scale, &out, &[NEW][..]),
            (OpKind::ScaleToLevel, &shrink, nothing),
            (OpKind::Heal, &heal, &[NEW]),
            (OpKind::Stop, &none, nothing),
            (OpKind::Terminate, &none, nothing),
            (OpKind::RevertToSnapshot, &none, nothing),
            (OpKind::ChangeFlavour, &none, nothing),
            (OpKind::ChangePackage, &none, nothing),
        ] {
            let hold = of(kind, Starting, None, &[OLD, NEW], change);
            let had: Vec<VnfcId> = [OLD, NEW, OTHER].into_iter().filter(|g| hold.has(*g)).collect();
            assert_eq!((had.as_slice(), hold.waits), (has, true), "{kind:?}");
        }
    }
}
