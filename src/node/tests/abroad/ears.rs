//! What a foreign VNFM tells without being asked: it is listened to while it has VNFs, and what it says is known here.

use super::{Case, fake::Fake};
use crate::{
    model::{
        abroad::{ForeignEar, ForeignVnfm},
        alarm::{Cause, Object, Severity},
        vnf::RunState,
    },
    node::ears,
    vnfm::abroad::port::{SeenAlarm, Tells},
};

impl Case {
    fn round(&self) {
        let core = self.b.core();
        ears::round(core.vnfm(), &core.alarms, true, &|_| Ok("secret".into())).expect("a round");
    }
    fn alarms(&self) -> Vec<Object> {
        let mut all: Vec<Object> = self.b.core().alarms.standing(|k| k.cause == Cause::Abroad).iter().map(|k| k.object).collect();
        all.sort();
        all
    }
}

fn listening(f: &Fake) -> Vec<Tells> {
    f.ears().into_iter().map(|(t, _)| t).collect()
}

#[test]
fn a_vnfm_is_listened_to_while_it_has_vnfs_and_what_it_tells_is_known_here() {
    let c = Case::new();
    c.round();
    assert_eq!(c.fake.ears(), [], "nobody has said where it is to call");
    c.b.put(&ForeignEar { vnfm: "east".into(), root: "https://box".into(), subscribed: Vec::new() });
    c.round();
    assert_eq!(c.fake.ears(), [], "it has no VNF yet");
    c.b.assert_state(c.b.instantiate_ns(c.ns), "COMPLETED");
    c.round();
    let first = c.fake.ears();
    assert_eq!(listening(&c.fake), Tells::ALL);
    c.round();
    assert_eq!(c.fake.ears(), first, "once");
    // It has lost them.
    c.fake.forget_ears();
    c.round();
    assert_eq!(listening(&c.fake), Tells::ALL);

    // Others have scaled and stopped it there.
    c.fake.others(2, RunState::Stopped);
    c.round();
    let far = c.b.member(c.ns, "far");
    let body = far.body.expect("it is up");
    assert_eq!((body.scale, body.run), (vec![("more".into(), 2)], RunState::Stopped));
    c.fake.others(1, RunState::Started);
    c.round();

    // An alarm there is one of the VNF here, and of its service, as long as it stands there.
    let alarm = SeenAlarm { id: "9".into(), severity: Severity::Major, cause: "GUEST_CRASHED".into(), details: vec!["it is off".into()] };
    c.fake.set_alarms(vec![alarm]);
    c.round();
    assert_eq!(c.alarms(), [Object::Vnf(far.id), Object::Ns(c.ns)]);
    c.fake.set_alarms(Vec::new());
    c.round();
    assert_eq!(c.alarms(), []);

    // It has it no more.
    c.fake.lose();
    c.round();
    assert_eq!(c.alarms(), [Object::Vnf(far.id), Object::Ns(c.ns)]);
    c.down("lost there");
    c.round();
    assert_eq!((c.fake.ears(), c.alarms()), (vec![], vec![]), "nothing is there any more");
    assert!(c.b.store().require::<ForeignVnfm>(&"east".into()).is_ok());
}
