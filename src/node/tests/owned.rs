//! VNFs of a central NFVO while their operations wait for its grant: nothing of them has begun.

use uuid::Uuid;

use super::flavour;
use crate::{
    model::{
        central::CentralNfvo,
        error::Fault,
        id::{OpId, VnfId},
        op::{CancelMode, Operation, Phase},
        time::Stamp,
        vnf::{Reservation, VnfInstance, VnfOwner},
    },
    node::kit::TestBox,
};

/// From now on a central NFVO, which does not answer, grants what is done to the VNF.
fn own(b: &TestBox, id: VnfId) {
    b.put(&CentralNfvo {
        account: "orch".into(),
        id: Uuid::from_u128(7),
        api_root: "https://orch".into(),
        auth: None,
        created: Stamp(1),
        revision: 1,
    });
    b.put(&VnfInstance { owner: Some(VnfOwner { account: "orch".into(), base: "https://here".into() }), ..b.vnf(id) });
}

fn held(b: &TestBox, op: Operation) -> OpId {
    assert!(b.op(op.id).awaits_grant() && b.op(op.id).state.phase() == Phase::Held, "{}", b.picture());
    op.id
}

#[test]
fn a_change_of_flavour_that_is_refused_or_cancelled_gives_back_all_that_it_reserved() {
    let (b, id) = flavour::standing();
    own(&b, id);
    let is = || (b.vnf(id).body, b.store().require::<Reservation>(&id).expect("reserved"));
    let before = is();
    for refused in [true, false] {
        let op = held(&b, b.core().vnfm().change_flavour(id, &flavour::to("big", None)).expect("accepted"));
        assert!(is().1.disk > before.1.disk, "the larger disk is reserved while it waits");
        match refused {
            true => b.core().vnfm().grant_refused(op, Fault::forbidden("no").record()).expect("refused"),
            false => drop(b.core().engine.cancel(op, CancelMode::Graceful).expect("cancelled")),
        }
        b.assert_state(op, "ROLLED_BACK");
        assert_eq!(is(), before, "refused: {refused}");
        flavour::assert_is(&b, id, "df", false);
    }
}
