//! PNF descriptors.

use super::{Golden, descriptor::file, fault, id};
use crate::model::{
    error::Kind,
    id::{PnfdInfoId, ProjectId},
    package::{Onboarding, PnfDescriptor},
    pnfd::{Coordinates, Location, PnfExtCp, Pnfd},
    time::Stamp,
};

pub(super) fn check(g: &Golden) {
    let pnfd = Pnfd {
        id: "pnfd".into(),
        invariant_id: "inv".into(),
        name: "n".into(),
        provider: "p".into(),
        version: "1".into(),
        function: "f".into(),
        location: Some(Location {
            country: "DE".into(),
            address: vec![("3".into(), "Hamburg".into())],
            coordinates: Some(Coordinates { latitude: "53".into(), longitude: "9".into(), altitude: "20".into() }),
        }),
        ext_cps: vec![PnfExtCp {
            id: "air".into(),
            description: "d".into(),
            protocols: vec!["ethernet".into()],
            role: Some("leaf".into()),
            requirement: None,
        }],
    };
    let mut mapped = pnfd.clone();
    mapped.ext_cps[0].requirement = Some("virtual_link".into());
    let read = PnfDescriptor {
        id: PnfdInfoId(id(5)),
        project: ProjectId::DEFAULT,
        onboarding: Onboarding::Onboarded,
        pnfd: Some(pnfd),
        pnfd_path: "p.yaml".into(),
        manifest_path: Some("p.mf".into()),
        archive: Some(file()),
        files: vec![file()],
        failure: None,
        user_data: vec![("u".into(), "{}".into())],
        created: Stamp(5),
        revision: 2,
        users: 0,
    };
    let unread = PnfDescriptor { onboarding: Onboarding::Error, pnfd: None, failure: Some(fault(Kind::Invalid)), ..read.clone() };
    g.check("pnfd", &read);
    g.check("pnfd-failed", &unread);
    g.check("pnfd-used", &PnfDescriptor { pnfd: Some(mapped), users: 300, ..read });
}
