//! What roles may. Pure: no records are read here, and what no role allows is refused.

use std::fmt;

use smol_str::SmolStr;

use crate::model::access::{Action, Permission, Resource, Role};

/// A set of permissions, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(u128);

const _: () = assert!(Resource::ALL.len() * Action::ALL.len() <= 128, "a permission is a bit");

impl Permissions {
    pub const ALL: Permissions = Permissions(u128::MAX);

    fn bit(p: Permission) -> u128 {
        1 << (p.resource as usize * Action::ALL.len() + p.action as usize)
    }
    pub fn has(self, p: Permission) -> bool {
        self.0 & Self::bit(p) != 0
    }
    #[must_use]
    pub fn and(self, p: Permission) -> Self {
        Permissions(self.0 | Self::bit(p))
    }
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Permissions(self.0 | other.0)
    }
    /// Every permission of `other` is here too: nobody gives away what he has not.
    pub fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }
    pub fn list(self) -> Vec<Permission> {
        let all = Resource::ALL.iter().flat_map(|r| Action::ALL.iter().map(|a| Permission { resource: *r, action: *a }));
        all.filter(|p| self.has(*p)).collect()
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(all: I) -> Self {
        all.into_iter().fold(Permissions::default(), Permissions::and)
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list().iter().map(ToString::to_string)).finish()
    }
}

/// A role that is always there and cannot be changed.
pub struct BuiltIn {
    pub name: &'static str,
    pub description: &'static str,
    pub every_project: bool,
    grants: &'static [(Resource, &'static [Action])],
}

use Action::{Act, Change, Create, Delete, Read};

const ANY: &[Action] = &[Read, Create, Change, Delete, Act];
const LOOK: &[Action] = &[Read];

/// The built-in roles. `admin` has no list: it may everything.
pub const BUILT_IN: &[BuiltIn] = &[
    BuiltIn { name: "admin", description: "everything, in every project", every_project: true, grants: &[] },
    BuiltIn {
        name: "operator",
        description: "the whole life of packages, services and VNFs of its project; not the box itself",
        every_project: false,
        grants: &[
            (Resource::About, LOOK),
            (Resource::Own, ANY),
            (Resource::NsDescriptor, ANY),
            (Resource::VnfPackage, ANY),
            (Resource::Ns, ANY),
            (Resource::Vnf, ANY),
            (Resource::Operation, ANY),
            (Resource::Network, LOOK),
            (Resource::Guest, ANY),
            (Resource::Secret, ANY),
            (Resource::Plan, ANY),
            (Resource::Host, LOOK),
            (Resource::Subscription, ANY),
            (Resource::Alarm, ANY),
            (Resource::Performance, ANY),
            (Resource::Indicator, ANY),
        ],
    },
    BuiltIn {
        name: "viewer",
        description: "looks at what its project has; changes nothing, and sees no secret, console or log",
        every_project: false,
        grants: &[
            (Resource::About, LOOK),
            (Resource::Own, ANY),
            (Resource::NsDescriptor, LOOK),
            (Resource::VnfPackage, LOOK),
            (Resource::Ns, LOOK),
            (Resource::Vnf, LOOK),
            (Resource::Operation, LOOK),
            (Resource::Network, LOOK),
            (Resource::Host, LOOK),
            (Resource::Subscription, LOOK),
            (Resource::Alarm, LOOK),
            (Resource::Performance, LOOK),
            (Resource::Indicator, LOOK),
        ],
    },
    BuiltIn {
        name: "nfvo",
        description: "a central NFVO over SOL003: VNFs and what they report, and the packages they are made of",
        every_project: false,
        grants: &[
            (Resource::About, LOOK),
            (Resource::Own, ANY),
            (Resource::VnfPackage, LOOK),
            (Resource::Vnf, ANY),
            (Resource::Operation, LOOK),
            (Resource::Subscription, ANY),
            (Resource::Alarm, ANY),
            (Resource::Performance, ANY),
            (Resource::Indicator, ANY),
        ],
    },
    BuiltIn {
        name: "vnfm",
        description: "a foreign VNFM over SOL003: asks this NFVO for grants, and reads the packages they are about",
        every_project: false,
        grants: &[
            (Resource::About, LOOK),
            (Resource::Own, ANY),
            (Resource::VnfPackage, LOOK),
            (Resource::Subscription, ANY),
            (Resource::Grant, &[Read, Create]),
        ],
    },
    BuiltIn {
        name: "vnf",
        description: "a VNF or its element manager: looks at VNFs, and subscribes to what they report",
        every_project: false,
        grants: &[
            (Resource::About, LOOK),
            (Resource::Own, ANY),
            (Resource::Vnf, LOOK),
            (Resource::Subscription, ANY),
            (Resource::Alarm, LOOK),
            (Resource::Performance, LOOK),
            (Resource::Indicator, LOOK),
        ],
    },
];

impl BuiltIn {
    pub fn find(name: &str) -> Option<&'static BuiltIn> {
        BUILT_IN.iter().find(|r| r.name == name)
    }
    pub fn permissions(&self) -> Permissions {
        if self.grants.is_empty() {
            return Permissions::ALL;
        }
        self.grants.iter().flat_map(|(resource, actions)| actions.iter().map(|a| Permission { resource: *resource, action: *a })).collect()
    }
}

/// What roles allow together, and whether one of them reaches over all projects. A role that is not
/// there any more allows nothing.
pub fn together<'a>(names: &[SmolStr], stored: impl Fn(&SmolStr) -> Option<&'a Role>) -> (Permissions, bool) {
    names.iter().fold((Permissions::default(), false), |(all, every), name| match BuiltIn::find(name) {
        Some(b) => (all.union(b.permissions()), every || b.every_project),
        None => match stored(name) {
            Some(r) => (all.union(r.permissions.iter().copied().collect()), every || r.every_project),
            None => (all, every),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Stamp;

    #[test]
    fn only_admin_reaches_the_box_itself_and_other_projects() {
        let box_itself =
            [Resource::Config, Resource::Store, Resource::Support, Resource::Identity, Resource::Project, Resource::Audit, Resource::Tls];
        for b in BUILT_IN {
            for r in box_itself {
                for a in Action::ALL {
                    assert_eq!(b.permissions().has(Permission { resource: r, action: *a }), b.name == "admin", "{} {r:?} {a:?}", b.name);
                }
            }
            assert_eq!(b.every_project, b.name == "admin");
        }
        let viewer = BuiltIn::find("viewer").expect("viewer").permissions();
        assert!(viewer.list().iter().all(|p| p.action == Action::Read || p.resource == Resource::Own), "{viewer:?}");
    }

    #[test]
    fn roles_add_up_and_one_that_is_gone_allows_nothing() {
        let p: Permission = "tls:read".parse().expect("permission");
        let own = Role {
            name: "own".into(),
            description: String::new(),
            permissions: vec![p],
            every_project: true,
            created: Stamp(0),
            revision: 1,
        };
        let find = |n: &SmolStr| (n == "own").then_some(&own);
        let (all, every) = together(&["vnf".into(), "own".into(), "gone".into()], find);
        assert!(all.has(p) && every && all.has("vnf:read".parse().expect("p")) && !all.has("vnf:act".parse().expect("p")));
        assert_eq!(together(&["gone".into()], find), (Permissions::default(), false));
        assert!(Permissions::ALL.covers(all) && !all.covers(Permissions::ALL));
    }
}
