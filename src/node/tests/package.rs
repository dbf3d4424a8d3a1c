//! CHANGE_VNFPKG over `Sim`: a disk on another image is made anew and all else stays, both packages are in use until the
//! end, and the way back is open until the old disk goes.

use super::{
    flavour::{assert_shape, two_flavours},
    guests, snapshots,
};
use crate::{
    model::{
        error::Kind,
        id::{ProjectId, VnfId, VnfPkgId},
        op::{OpKind, Operation},
        package::{Operational, PackageFile, StoredImage, VnfPackage},
        param::Param,
        size::{Bytes, MiB},
        step::Effect,
        vnf::{Body, Remake, Reservation, RunState, Stopping, VnfInstance, Vnfc},
        vnfd::{Day0Source, ImageFormat, SwImage, Vdu, VersionPath, Vnfd},
    },
    node::kit::{Shape, TestBox, ns_box, package, vnfd},
    sim::{
        SimConfig,
        faults::{Method, Rule, Target, Then},
    },
    vim::port::{GuestState, Hypervisor, ImageInfo, Images},
    vnfm::{
        alter::Alter,
        change::ScaleTo,
        remake::{ChangePackage, Fate, With},
    },
};

const OTHER: [u8; 32] = [8; 32];

/// `vnf` in its first version, `df` of `two_flavours`.
fn first() -> Vnfd {
    let mut d = two_flavours();
    d.flavours.truncate(1);
    d
}

/// The second, `vnf2`: what `big` is, under the name of `df`, with vdu0 and vdu9 on another image. That of vdu2 has another
/// name and is the same.
fn second() -> Vnfd {
    let mut d = two_flavours();
    (d.id, d.software_version, d.version) = ("vnf2".into(), "2".into(), "2.0".into());
    d.flavours.remove(0);
    let f = &mut d.flavours[0];
    f.id = "df".into();
    for v in &mut f.vdus {
        let image = match v.id.as_str() {
            "vdu2" => SwImage { id: "renamed".into(), ..image_of(v) },
            _ => SwImage { id: "two".into(), sha256: Some(OTHER), ..image_of(v) },
        };
        v.disks[0].image = Some(image);
    }
    d
}

fn image_of(v: &Vdu) -> SwImage {
    v.disks[0].image.clone().expect("an image")
}

/// A package as onboarding leaves it: with the images that its VNFD names.
fn onboard(b: &TestBox, d: Vnfd) -> VnfPkgId {
    let images: Vec<StoredImage> = d.images().into_iter().map(|i| stored(&i.id, i.sha256.expect("a digest"))).collect();
    let p = VnfPackage { images, ..package(d) };
    b.put(&p);
    p.id
}

fn stored(id: &str, sha256: [u8; 32]) -> StoredImage {
    StoredImage { id: id.into(), sha256, ..package(first()).images.remove(0) }
}

pub fn standing() -> (TestBox, VnfId) {
    with(first(), second())
}

fn with(first: Vnfd, second: Vnfd) -> (TestBox, VnfId) {
    let b = TestBox::of(SimConfig::default());
    b.sim.add_base(OTHER, ImageInfo { format: ImageFormat::Qcow2, virtual_size: MiB(64), size: Bytes(1 << 20) });
    onboard(&b, first);
    onboard(&b, second);
    let id = b.create_vnf("vnf");
    b.assert_state(b.instantiate_vnf(id), "COMPLETED");
    snapshots::write(&b, id, "kept");
    (b, id)
}

pub fn to(vnfd: &str) -> ChangePackage {
    ChangePackage { vnfd_id: vnfd.into(), with: With { request: "{}".into(), ..With::default() } }
}

fn body(b: &TestBox, id: VnfId) -> Body {
    b.vnf(id).body.expect("a body")
}

fn guest(b: &TestBox, id: VnfId, vdu: &str) -> Vnfc {
    body(b, id).vnfcs.into_iter().find(|c| c.vdu == vdu).expect("a guest")
}

fn packages(b: &TestBox) -> Vec<(String, u32)> {
    let of = |p: VnfPackage| (p.vnfd.expect("a VNFD").id.to_string(), p.users);
    let mut all: Vec<_> = b.store().list::<VnfPackage>().expect("packages").into_iter().map(of).collect();
    all.sort();
    all
}

fn used(first: u32, second: u32) -> Vec<(String, u32)> {
    vec![("vnf".into(), first), ("vnf2".into(), second)]
}

/// The VNF is of the second package, or the first, and nothing of the other is left. A disk that has grown stays so.
pub fn assert_is(b: &TestBox, id: VnfId, second: bool) {
    let v = b.vnf(id);
    let says = |v: &VnfInstance| [&v.vnfd_id, &v.software_version, &v.vnfd_version].map(ToString::to_string);
    let (is, users) = if second { (["vnf2", "2", "2.0"], used(0, 1)) } else { (["vnf", "1", "1"], used(1, 0)) };
    assert_eq!(says(&v), is, "{}", b.picture());
    assert_eq!(packages(b), users, "{}", b.picture());
    let p: VnfPackage = b.store().require(&v.package).expect("the package");
    assert_eq!(p.vnfd.expect("a VNFD").id, v.vnfd_id);
    let base = guest(b, id, "vdu0").disks[0].base.map(|(sha256, _)| sha256);
    assert_eq!(base == Some(OTHER), second, "{}", b.picture());
    assert_shape(b, id, second, true, if second { &["data"] } else { &["root", "data"] });
}

fn change(b: &TestBox, id: VnfId, ask: &ChangePackage, state: &str) -> Operation {
    b.assert_state(b.core().vnfm().change_package(id, ask).expect("accepted").id, state)
}

fn terminate(b: &TestBox, id: VnfId) {
    b.assert_state(b.core().vnfm().terminate(id, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    b.assert_nothing_left();
}

#[test]
fn a_disk_on_another_image_is_made_anew_and_what_is_the_same_is_left_alone() {
    let (b, id) = standing();
    let (was, same) = (guest(&b, id, "vdu0"), guest(&b, id, "vdu2"));
    let before = b.vnf(id);
    let dry = b.core().vnfm().dry_change_package(id, &to("vnf2")).expect("a plan");
    assert_eq!(b.vnf(id), before, "a dry run touches nothing");
    assert_eq!(packages(&b), used(1, 0));
    let change_of = dry.package.expect("another package");
    assert_eq!((change_of.before.vnfd_id.as_str(), change_of.after.vnfd_id.as_str()), ("vnf", "vnf2"));
    let fates: Vec<_> = dry.fates.iter().map(|f| (f.guest.as_str(), f.storage.as_str(), f.fate)).collect();
    let wanted = [
        ("vdu0/0", "root", Fate::Anew),
        ("vdu0/0", "data", Fate::Grown),
        ("vdu0/0", "log", Fate::Added),
        ("vdu2/0", "root", Fate::Kept),
        ("vdu9/0", "root", Fate::Added),
        ("vdu1/0", "root", Fate::Removed),
    ];
    assert_eq!(fates, wanted);
    assert_eq!(dry.steps.last().map(|s| s.step.effect()), Some(Effect::Sheds));

    b.sim.faults().record();
    let op = change(&b, id, &to("vnf2"), "COMPLETED");
    let touched = b.sim.faults().taken();
    assert_eq!((op.kind, op.kind.name()), (OpKind::ChangePackage, "CHANGE_VNFPKG"));
    assert_is(&b, id, true);
    let now = guest(&b, id, "vdu0");
    assert_eq!((now.id, &now.hostname, &now.disks[1].id), (was.id, &was.hostname, &was.disks[1].id));
    assert_ne!(now.disks[0].id, was.disks[0].id);
    let port = |c: &Vnfc| c.ports.iter().find(|p| p.cp == "nic0").cloned();
    assert_eq!(port(&now), port(&was), "a NIC that stays is the same, with its addresses");
    assert_eq!(touched.iter().filter(|(m, t)| m.changes() && *t == Target::Guest(same.id)).count(), 0);

    // The way back is another change of the package; the one that nothing is of can go.
    snapshots::write(&b, id, "kept");
    change(&b, id, &to("vnf"), "COMPLETED");
    let v = b.vnf(id);
    assert_eq!((v.vnfd_id.as_str(), packages(&b)), ("vnf", used(1, 0)));
    assert_shape(&b, id, false, true, &["data"]);
    terminate(&b, id);
}

#[test]
fn both_packages_are_in_use_until_the_end_and_one_that_was_given_up_is_of_the_old() {
    let (b, id) = standing();
    let first = guest(&b, id, "vdu0");
    for (end, users) in [("rollback", used(1, 0)), ("fail", used(1, 0))] {
        b.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)).of(first.id));
        let op = change(&b, id, &to("vnf2"), "FAILED_TEMP").id;
        assert_eq!(packages(&b), used(1, 1), "neither can go");
        assert_eq!(b.vnf(id).vnfd_id, "vnf", "it says so at the end only");
        let roots = || b.sim.disks().expect("disks").iter().filter(|d| first.disks.iter().any(|f| f.id == **d)).count();
        assert_eq!(roots(), 2, "the old disks are kept aside");
        if end == "rollback" {
            b.core().nfvo.rollback(op).expect("accepted");
            b.assert_state(op, "ROLLED_BACK");
            assert_is(&b, id, false);
        } else {
            b.core().nfvo.fail(op).expect("accepted");
        }
        assert_eq!((packages(&b), b.vnf(id).vnfd_id.as_str()), (users, "vnf"), "{end}");
        assert!(b.store().get::<Remake>(&id).expect("read").is_none());
    }
    // All that may be there is named; a guest that is made again is of the package that the record says.
    let found = b.core().vnfm().reconcile().expect("reconciled");
    assert_eq!((found.orphans.len(), found.files_removed, found.quarantined.len()), (0, 0, 0));
    // It may run on either root disk, so no change may take one of them for what it is not.
    let no = b.core().vnfm().change_package(id, &to("vnf2")).expect_err("refused");
    assert!(no.detail().contains("what it had before and after a change that was given up: heal it"), "{}", no.detail());
    let heal = Alter::Heal { which: vec![first.id], anew: false };
    b.assert_state(b.core().vnfm().alter(id, &heal, "{}").expect("accepted").id, "COMPLETED");
    let again = guest(&b, id, "vdu0");
    assert_eq!(again.disks.iter().map(|d| d.storage.as_str()).collect::<Vec<_>>(), ["root", "data"]);
    assert_ne!(again.disks[0].base.map(|(s, _)| s), Some(OTHER));
    terminate(&b, id);
}

#[test]
fn a_stopped_vnf_comes_to_the_package_and_stays_stopped() {
    let (b, id) = standing();
    b.assert_state(b.core().vnfm().operate(id, RunState::Stopped, Stopping::AtOnce, "{}".into()).expect("accepted").id, "COMPLETED");
    change(&b, id, &to("vnf2"), "COMPLETED");
    assert_is(&b, id, true);
    for g in guests(&b.vnf(id)) {
        assert_eq!(b.sim.state(g).expect("state"), Some(GuestState::Off));
    }
    terminate(&b, id);
}

#[test]
fn what_is_no_version_of_the_vnf_is_refused_with_the_reason_and_changes_nothing() {
    let mut disabled = package(Vnfd { id: "off".into(), ..second() });
    disabled.operational = Operational::Disabled;
    let named = |id: &str, change: &dyn Fn(&mut Vnfd)| {
        let mut d = Vnfd { id: id.into(), ..second() };
        change(&mut d);
        d
    };
    let (b, id) = standing();
    b.put(&disabled);
    onboard(&b, named("foreign", &|d| d.provider = "Q".into()));
    onboard(&b, named("renamed", &|d| d.product_name = "M".into()));
    onboard(&b, named("flavours", &|d| d.flavours[0].id = "xl".into()));
    onboard(&b, named("levels", &|d| d.flavours[0].levels[0].id = "one".into()));
    onboard(&b, named("secure", &|d| d.flavours[0].vdus[0].nics[0].port_security = false));
    let (before, users) = (b.vnf(id), packages(&b));
    for (vnfd, kind, says) in [
        ("nobody", Kind::Invalid, "no onboarded VNF package has the VNFD 'nobody'"),
        ("vnf", Kind::Conflict, "is of VNFD vnf already"),
        ("off", Kind::Conflict, "is disabled: enable it first"),
        ("foreign", Kind::Conflict, "another product (N of Q) than the VNF is (N of P)"),
        ("renamed", Kind::Conflict, "another product (M of P) than the VNF is (N of P)"),
        ("flavours", Kind::Conflict, "no deployment flavour 'df', which the VNF is of; it has xl"),
        ("levels", Kind::Conflict, "at instantiation level default, and flavour df there has one, pair"),
        ("secure", Kind::Conflict, "nic0 has another port security"),
    ] {
        let dry = b.core().vnfm().dry_change_package(id, &to(vnfd)).expect_err("refused");
        let fault = b.core().vnfm().change_package(id, &to(vnfd)).expect_err("refused");
        assert_eq!((dry.detail(), dry.kind()), (fault.detail(), kind), "{vnfd}");
        assert!(fault.detail().contains(says), "{vnfd}: {fault}");
    }
    assert_eq!((b.vnf(id), packages(&b)), (before, users));
    terminate(&b, id);

    let (b, ns) = ns_box(&Shape { vdus: 1, ..Shape::default() });
    b.assert_state(b.instantiate_ns(ns), "COMPLETED");
    let member = b.ns(ns).members[0].vnf;
    let why = b.core().vnfm().change_package(member, &to("vnf2")).expect_err("its service's");
    assert!(why.kind() == Kind::Conflict && why.detail().contains(&ns.to_string()), "{why}");
}

#[test]
fn what_the_makers_say_of_versions_counts_and_else_their_product_does() {
    let path = |to: &str, flavour: &str| VersionPath {
        from_vnfd: "vnf".into(),
        from_flavour: "df".into(),
        to_vnfd: to.into(),
        to_flavour: flavour.into(),
        renamed: Vec::new(),
    };
    let (b, id) = standing();
    let version = |id: &str, paths: Vec<VersionPath>, flavour: &str| {
        let mut d = Vnfd { id: id.into(), paths, product_name: "M".into(), ..second() };
        d.flavours[0].id = flavour.into();
        onboard(&b, d);
    };
    version("elsewhere", vec![path("vnf7", "df")], "df");
    version("from-large", vec![VersionPath { from_flavour: "large".into(), ..path("from-large", "df") }], "df");
    version("gone", vec![path("gone", "xl")], "df");
    version("renames", vec![VersionPath { renamed: vec![("vdu0".into(), "gw".into())], ..path("renames", "df") }], "df");
    for (vnfd, says) in [
        (
            "elsewhere",
            "its makers do not describe the way from VNFD vnf in flavour df to VNFD elsewhere: described is vnf (df) to vnf7 (df)",
        ),
        ("from-large", "described is vnf (large) to from-large (df)"),
        ("gone", "has no deployment flavour 'xl', which its makers lead to; it has df"),
        ("renames", "calls 'vdu0' of VNFD vnf 'gw'"),
    ] {
        let why = b.core().vnfm().change_package(id, &to(vnfd)).expect_err("refused");
        assert!(why.kind() == Kind::Conflict && why.detail().contains(says), "{vnfd}: {}", why.detail());
    }
    // Another name of the product, and another flavour: they say so.
    version("described", vec![path("described", "xl"), path("other", "df")], "xl");
    change(&b, id, &to("described"), "COMPLETED");
    let v = b.vnf(id);
    assert_eq!((v.vnfd_id.as_str(), v.product_name.as_str(), body(&b, id).flavour.as_str()), ("described", "M", "xl"));
    assert_shape(&b, id, true, true, &["data"]);
    terminate(&b, id);
}

/// A VNF of one VDU that can be scaled, in two versions that differ by the image alone.
fn scalable(id: &str, image: Option<[u8; 32]>) -> Vnfd {
    let mut d = vnfd(id, &Shape { vdus: 1, most: 4, volume: true, ..Shape::default() });
    let f = &mut d.flavours[0];
    if let Some(sha256) = image {
        let two = SwImage { id: "two".into(), sha256: Some(sha256), ..image_of(&f.vdus[0]) };
        f.vdus[0].disks[0].image = Some(two);
    }
    d
}

#[test]
fn a_vnf_that_was_scaled_keeps_its_guests_or_is_refused_where_they_have_no_place() {
    let mut none = scalable("none", Some(OTHER));
    none.flavours[0].aspects.clear();
    let mut few = scalable("few", Some(OTHER));
    few.flavours[0].vdus[0].max_instances = 2;
    let (b, id) = with(scalable("vnf", None), scalable("vnf2", Some(OTHER)));
    onboard(&b, none);
    onboard(&b, few);
    let out = Alter::Scale(ScaleTo::Steps { aspect: "more".into(), out: true, steps: 2 });
    b.assert_state(b.core().vnfm().alter(id, &out, "{}").expect("accepted").id, "COMPLETED");
    for (vnfd, says) in [("none", "the VNF is at level 2 of aspect more"), ("few", "VDU vdu0: 3 guests, and it has 1 to 2")] {
        let why = b.core().vnfm().change_package(id, &to(vnfd)).expect_err("refused");
        assert!(why.kind() == Kind::Conflict && why.detail().contains(says), "{why}");
    }
    change(&b, id, &to("vnf2"), "COMPLETED");
    b.assert_vnf_up(id);
    let now = body(&b, id);
    assert_eq!((now.vnfcs.len(), &now.scale[..]), (3, &[("more".into(), 2)][..]));
    let again = Alter::Scale(ScaleTo::Steps { aspect: "more".into(), out: false, steps: 1 });
    b.assert_state(b.core().vnfm().alter(id, &again, "{}").expect("accepted").id, "COMPLETED");
    assert_eq!(body(&b, id).vnfcs.len(), 2);
    terminate(&b, id);
}

#[test]
fn a_package_that_changes_no_guest_is_the_vnfs_all_the_same() {
    let (b, id) = with(scalable("vnf", None), scalable("vnf2", None));
    b.sim.faults().record();
    change(&b, id, &to("vnf2"), "COMPLETED");
    assert_eq!(b.sim.faults().taken().iter().filter(|(m, _)| m.changes()).count(), 0);
    assert_eq!((b.vnf(id).vnfd_id.as_str(), packages(&b)), ("vnf2", used(0, 1)));
    b.assert_vnf_up(id);
    terminate(&b, id);
}

/// The file has one path in both packages, and other bytes.
#[test]
fn a_medium_is_made_from_the_files_of_the_package_that_the_vnf_is_on_its_way_to() {
    let from_file = |id: &str| {
        let mut d = scalable(id, None);
        d.flavours[0].vdus[0].day0.as_mut().expect("day 0").files[0].source = Day0Source::Artifact("Files/user-data".into());
        d
    };
    let (b, id) = with(scalable("vnf", None), scalable("vnf2", None));
    terminate(&b, id);
    for (vnfd, text) in [("vnf", "one {{ params.a }}"), ("vnf2", "two {{ params.a }}")] {
        let of = |p: &VnfPackage| p.vnfd.as_ref().is_some_and(|v| v.id == vnfd);
        let mut p = b.store().list::<VnfPackage>().expect("packages").into_iter().find(of).expect("it");
        p.vnfd = Some(from_file(vnfd));
        let sha256 = [text.len() as u8 ^ text.as_bytes()[1]; 32];
        p.files = vec![PackageFile { path: "Files/user-data".into(), sha256, size: Bytes(9), media_type: "text/plain".into() }];
        let at = b.core().vnfm().layout().artifact(&sha256);
        std::fs::create_dir_all(at.parent().expect("a folder")).expect("made");
        std::fs::write(at, text).expect("written");
        b.put(&p);
    }
    let mut ask = crate::node::kit::ask_vnf();
    ask.params.push(("a".into(), Param::Text("x".into())));
    b.assert_state(b.core().vnfm().instantiate(id, &ask).expect("accepted").id, "COMPLETED");
    let first = guest(&b, id, "vdu0").id;
    let user_data = || {
        let files = b.sim.medium(first).expect("a medium");
        String::from_utf8(files.into_iter().find(|(name, _)| name == "user-data").expect("it").1).expect("text")
    };
    assert_eq!(user_data(), "one x");
    let mut with_other = to("vnf2");
    with_other.with.params.push(("a".into(), Param::Text("y".into())));
    b.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)));
    let op = change(&b, id, &with_other, "FAILED_TEMP").id;
    assert_eq!(user_data(), "two y");
    b.core().nfvo.rollback(op).expect("accepted");
    b.assert_state(op, "ROLLED_BACK");
    assert_eq!(user_data(), "one x");
    change(&b, id, &with_other, "COMPLETED");
    assert_eq!(user_data(), "two y");
    assert_eq!(body(&b, id).params, with_other.with.params);
    terminate(&b, id);
}

#[test]
fn disks_of_both_images_count_until_the_old_one_is_gone() {
    let (b, id) = with(scalable("vnf", None), scalable("vnf2", Some(OTHER)));
    let disk = || b.store().require::<Reservation>(&id).expect("reserved").disk;
    let before = disk();
    b.sim.faults().add(Rule::next(Method::Start, Then::Fail(Kind::Conflict)));
    let op = change(&b, id, &to("vnf2"), "FAILED_TEMP").id;
    assert_eq!(disk(), MiB(before.0 + 64));
    b.core().nfvo.retry(op).expect("accepted");
    b.assert_state(op, "COMPLETED");
    assert_eq!(disk(), before);
    assert_eq!(b.vnf(id).project, ProjectId::DEFAULT);
    terminate(&b, id);
}

#[test]
fn a_descriptor_that_was_read_is_the_one_that_the_store_has_now() {
    let b = TestBox::new();
    let id = onboard(&b, first());
    let read = || b.core().vnfm().vnfd(id).expect("read");
    let version = || read().map(|d| d.software_version.clone());
    let (one, again) = (read().expect("it"), read().expect("it"));
    assert!(std::sync::Arc::ptr_eq(&one, &again), "read once");
    assert_eq!(version().as_deref(), Some(first().software_version.as_str()));
    let mut p: VnfPackage = b.core().vnfm().store().require(&id).expect("a package");
    if let Some(d) = &mut p.vnfd {
        d.software_version = "9".into();
    }
    b.put(&p);
    assert_eq!(version().as_deref(), Some("9"));
    // What is written of others changes nothing, and costs one reading more.
    onboard(&b, second());
    assert_eq!(version().as_deref(), Some("9"));
    b.core().vnfm().store().write(crate::store::Durability::Lazy, |tx| tx.delete::<VnfPackage>(&id)).expect("gone");
    assert_eq!(version(), None);
}
