//! What the manifest of a VNF package says of artefacts beside its files: which are for others than MANO, and which lie outside.
//!
//! Owns the record that a package has beside its own, if there is anything in it. Never: fetching, a secret in the clear.

use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, format_smolstr};

use super::{
    id::{ProjectId, VnfPkgId},
    package::PackageFile,
    subscription::Auth,
};

/// An artefact that a manifest names by a URI (SOL004 4.3.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutsideArtefact {
    pub uri: String,
    /// As the manifest has it: the algorithm's name, and the digest in hexadecimal.
    pub algorithm: SmolStr,
    pub hash: SmolStr,
    /// The set that it is of, where it is for others than MANO.
    pub set: Option<SmolStr>,
    /// Once it was fetched: its path is one that no file of the package has.
    pub file: Option<PackageFile>,
}

/// How one of them is reached (SOL005 9.5.2.10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtefactAccess {
    pub uri: String,
    /// Where it is fetched from in place of `uri`.
    pub instead: Option<String>,
    /// Its secret is sealed under the package's id.
    pub auth: Option<Auth>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artefacts {
    pub package: VnfPkgId,
    pub project: ProjectId,
    /// Files for others than MANO (SOL004 4.3.7): path in the package, and set.
    pub sets: Vec<(SmolStr, SmolStr)>,
    pub outside: Vec<OutsideArtefact>,
    pub access: Vec<ArtefactAccess>,
    pub revision: u64,
}

impl Artefacts {
    pub fn none(package: VnfPkgId, project: ProjectId) -> Artefacts {
        Artefacts { package, project, sets: Vec::new(), outside: Vec::new(), access: Vec::new(), revision: 0 }
    }

    pub fn set_of(&self, path: &str) -> Option<&SmolStr> {
        self.sets.iter().find(|(p, _)| p == path).map(|(_, set)| set)
    }

    /// Files that lie in the store because of it.
    pub fn fetched(&self) -> impl Iterator<Item = &PackageFile> {
        self.outside.iter().filter_map(|o| o.file.as_ref())
    }

    /// Takes what a manifest says now; what was fetched of the same content stays.
    pub fn told(&mut self, sets: &[(SmolStr, SmolStr)], outside: &[OutsideArtefact]) {
        let before = std::mem::take(&mut self.outside);
        let same = |o: &OutsideArtefact| before.iter().find(|b| (&b.uri, &b.hash) == (&o.uri, &o.hash)).and_then(|b| b.file.clone());
        self.outside = outside.iter().map(|o| OutsideArtefact { file: same(o), ..o.clone() }).collect();
        self.sets = sets.to_vec();
        self.revision += 1;
    }

    /// What was fetched from another place than it is now said to be at is fetched anew.
    pub fn fetched_elsewhere(&mut self, told: &[ArtefactAccess]) {
        let place = |all: &[ArtefactAccess], uri: &str| all.iter().find(|a| a.uri == uri).map(|a| a.instead.clone());
        for o in &mut self.outside {
            if let Some(now) = place(told, &o.uri)
                && place(&self.access, &o.uri) != Some(now)
            {
                o.file = None;
            }
        }
    }

    /// Those that can be reached and are not here yet.
    pub fn wanted(&self) -> impl Iterator<Item = (&OutsideArtefact, &ArtefactAccess)> {
        let to = |o: &OutsideArtefact| self.access.iter().find(|a| a.uri == o.uri);
        self.outside.iter().filter(|o| o.file.is_none()).filter_map(move |o| to(o).map(|a| (o, a)))
    }
}

/// The path under which an artefact from outside is met: of the `nth` in the manifest, its URI's last word below a folder that none
/// of these files is in.
pub fn path_of(nth: usize, uri: &str, files: &[PackageFile]) -> SmolStr {
    let word = uri.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let plain: String = word.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect();
    let word = if plain.chars().all(|c| c == '.') { "file" } else { plain.as_str() };
    let mut folder = String::from("external");
    while files.iter().any(|f| f.path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))) {
        folder.push('_');
    }
    format_smolstr!("{folder}/{nth}/{word}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::size::Bytes;

    fn file(path: &str) -> PackageFile {
        PackageFile { path: path.into(), sha256: [1; 32], size: Bytes(1), media_type: SmolStr::default() }
    }

    #[test]
    fn the_path_of_what_was_fetched_is_nobody_elses() {
        for (uri, has, want) in [
            ("https://a/b/m%40ster.sh?x=1", "Files/a", "external/3/m_40ster.sh"),
            ("https://a/", "externals/a", "external/3/a"),
            ("https://a/..", "external/3/file", "external_/3/file"),
            ("https://a/x", "external", "external_/3/x"),
        ] {
            assert_eq!(path_of(3, uri, &[file(has)]), want, "{uri}");
        }
    }

    #[test]
    fn what_is_of_the_same_content_need_not_be_fetched_again() {
        let one = |uri: &str, hash: &str, fetched: bool| OutsideArtefact {
            uri: uri.into(),
            algorithm: "SHA-256".into(),
            hash: hash.into(),
            set: None,
            file: fetched.then(|| file("external/0/x")),
        };
        let mut a = Artefacts::none(VnfPkgId(uuid::Uuid::nil()), ProjectId::DEFAULT);
        a.access = vec![ArtefactAccess { uri: "https://a".into(), instead: None, auth: None }];
        a.outside = vec![one("https://a", "1", true), one("https://b", "1", false)];
        assert_eq!(a.wanted().count(), 0, "the one is here, the other cannot be reached");
        a.told(&[], &[one("https://a", "1", false)]);
        assert_eq!((a.wanted().count(), a.fetched().count()), (0, 1));
        let at = |instead: Option<&str>| [ArtefactAccess { uri: "https://a".into(), instead: instead.map(Into::into), auth: None }];
        a.fetched_elsewhere(&[]);
        a.fetched_elsewhere(&at(None));
        assert_eq!(a.fetched().count(), 1, "from the same place");
        a.fetched_elsewhere(&at(Some("https://b")));
        assert_eq!((a.wanted().count(), a.fetched().count()), (1, 0));
        a.told(&[], &[one("https://a", "2", false)]);
        assert_eq!((a.wanted().count(), a.fetched().count(), a.revision), (1, 0, 2));
    }
}
