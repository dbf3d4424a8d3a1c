//! The bytes of accounts, roles, projects, tokens and the audit trail; the lines are in `golden.txt`.

use super::golden::{Golden, id};
use crate::model::{
    access::*,
    id::{OpId, ProjectId},
    size::MiB,
    time::Stamp,
};

pub(super) fn access(g: &Golden) {
    let account = |credentials| Account {
        name: "eve".into(),
        credentials,
        roles: vec!["viewer".into(), "own".into()],
        project: ProjectId(id(40)),
        enabled: true,
        created: Stamp(13),
        revision: 2,
    };
    let password = Password { memory_kib: 47_104, passes: 1, lanes: 1, salt: [5; 16], hash: [6; 32] };
    g.check("account-user", &account(Credentials::User { password: Some(password) }));
    let certificates = vec![
        CertificateRule::Fingerprint([7; 32]),
        CertificateRule::CommonName("nfvo".into()),
        CertificateRule::Dns("nfvo.example".into()),
        CertificateRule::Uri("urn:nfvo".into()),
    ];
    g.check("account-client", &account(Credentials::Client { secret: Some([8; 32]), certificates }));
    // Each word on its own, so that a new one is a new line.
    let each = Resource::ALL.iter().map(|r| (r.word(), *r, Action::Read));
    let each = each.chain(Action::ALL.iter().map(|a| (a.word(), Resource::Vnf, *a)));
    for (word, resource, action) in each {
        let role = Role {
            name: "own".into(),
            description: "d".into(),
            permissions: vec![Permission { resource, action }],
            every_project: true,
            created: Stamp(13),
            revision: 1,
        };
        g.check(format!("role-{word}"), &role);
    }
    let quota = Quota { vnfs: Some(3), vcpus: Some(300), memory: Some(MiB(4096)), disk: Some(MiB(9)), vfs: Some(2) };
    for (name, quota) in [("project", quota), ("project-without-limits", Quota::default())] {
        let p = Project { id: ProjectId(id(40)), name: "lab".into(), description: "d".into(), quota, created: Stamp(13), revision: 1 };
        g.check(name, &p);
    }
    let token = Token { sha256: [9; 32], account: "eve".into(), label: "ci".into(), created: Stamp(13), expires: Some(Stamp(14)) };
    g.check("token", &token);
    let entry = AuditEntry {
        sequence: 7,
        at: Stamp(13),
        who: "eve".into(),
        source: "192.0.2.1".into(),
        project: Some(ProjectId(id(40))),
        method: "POST".into(),
        path: "/p".into(),
        status: 403,
        op: Some(OpId(id(22))),
        why: "no".into(),
        previous: [1; 32],
        hash: [2; 32],
    };
    g.check("audit-entry", &entry);
    g.check("audit-ends", &AuditEnds { first: 1, before: [0; 32], last: 7, hash: [2; 32] });
}
