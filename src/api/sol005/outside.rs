//! Artefacts of a VNF package: all of them or a choice as one archive (SOL005 9.4.5a, SOL003 10.4.5a), and how those that lie
//! outside of it are reached (SOL005 9.4.4a).

use axum::{
    extract::{FromRequest as _, Request, State},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};

use super::vnfpkgm::{Named, find, onboarded};
use crate::{
    api::{
        Ctx, Services,
        conditional::if_match,
        content,
        convert::{catalogue, request::Faults},
        extract::{self, Id, query},
        fetch,
        problem::Answer,
        respond::{NoQuery, shown},
        routes::accepts,
        who,
    },
    model::{
        artefact::{ArtefactAccess, Artefacts},
        error::Result,
        id::VnfPkgId,
        package::{PackageFile, VnfPackage},
        subscription::Auth,
    },
    sol::pkgm::{ExternalArtifactAccess, ExternalArtifactsAccessConfig, UploadAuthType},
};

/// Which artefacts somebody wants.
#[derive(Debug, Default, PartialEq, Eq)]
struct Choice {
    signatures: bool,
    no_mano: bool,
    no_non_mano: bool,
    /// Of those for others than MANO only these sets; `None`: all.
    sets: Option<Vec<String>>,
    outside: bool,
}

impl Choice {
    /// Flags have no value; one that has one is a flag all the same.
    fn parse(uri: &Uri) -> Answer<Choice> {
        const KNOWN: [&str; 5] = [
            "include_signatures",
            "exclude_all_mano_artifacts",
            "exclude_all_non_mano_artifacts",
            "select_non_mano_artifact_sets",
            "include_external_artifacts",
        ];
        let mut c = Choice::default();
        for (name, value) in query(uri, &KNOWN)? {
            match name.as_str() {
                "include_signatures" => c.signatures = true,
                "exclude_all_mano_artifacts" => c.no_mano = true,
                "exclude_all_non_mano_artifacts" => c.no_non_mano = true,
                "include_external_artifacts" => c.outside = true,
                _ => c.sets.get_or_insert_default().extend(value.split(',').map(|s| s.trim().to_owned())),
            }
        }
        Ok(c)
    }

    fn takes(&self, set: Option<&str>) -> bool {
        match set {
            None => !self.no_mano,
            Some(set) => !self.no_non_mano && self.sets.as_ref().is_none_or(|s| s.iter().any(|s| s == set)),
        }
    }

    /// Images are no artefacts of this kind, nor are descriptor and manifest, which have resources of their own.
    fn of(&self, p: &VnfPackage, beside: Option<&Artefacts>) -> Vec<PackageFile> {
        let is_signature = |path: &str| [".cert", ".cms", ".p7s", ".sig"].iter().any(|end| path.ends_with(end));
        let inside = catalogue::additional(p)
            .filter(|f| self.signatures || !is_signature(&f.path))
            .filter(|f| self.takes(beside.and_then(|b| b.set_of(&f.path)).map(|s| s.as_str())));
        let outside = beside.iter().filter(|_| self.outside).flat_map(|b| &b.outside);
        let outside = outside.filter(|o| self.takes(o.set.as_deref())).filter_map(|o| o.file.as_ref());
        inside.chain(outside).cloned().collect()
    }
}

pub async fn archive(State(s): Ctx, of: Named, method: Method, uri: Uri, headers: HeaderMap) -> Answer<Response> {
    accepts(&headers, &["application/zip"])?;
    let choice = Choice::parse(&uri)?;
    let d = onboarded(&s, of).await?;
    let id = d.id;
    let beside = s.domain(move |n| n.vnfm().artefacts(id)).await?;
    content::archive(&method, &headers, &s, choice.of(&d, beside.as_ref())).await
}

/// What was told, without what is secret, as a query may be that signs a URI.
fn told(a: &Artefacts) -> ExternalArtifactsAccessConfig {
    let one = |a: &ArtefactAccess| ExternalArtifactAccess {
        artifact_uri: a.uri.clone(),
        override_uri: a.instead.as_deref().map(|o| fetch::plain(o).to_owned()),
        auth_type: a.auth.as_ref().map(|_| UploadAuthType::Oauth2ClientCredentials),
        params_oauth2_client_credentials: None,
    };
    ExternalArtifactsAccessConfig { artifact: a.access.iter().map(one).collect() }
}

pub async fn access(State(s): Ctx, Id(id): Id<VnfPkgId>, _: NoQuery, headers: HeaderMap) -> Answer<Response> {
    let look = move |n: &who::View| {
        let p = find(n, &Named::Package(id))?;
        Ok(n.vnfm().artefacts(id)?.unwrap_or_else(|| Artefacts::none(id, p.project)))
    };
    let a = s.domain(look).await?;
    Ok(shown(&headers, a.revision, &told(&a)))
}

/// 200 where the content is still to come, 202 where it is there and what is missing is fetched from now on.
pub async fn set_access(State(s): Ctx, Id(id): Id<VnfPkgId>, _: NoQuery, headers: HeaderMap, req: Request) -> Answer<Response> {
    s.domain(move |n| find(n, &Named::Package(id)).map(drop)).await?;
    let extract::Json(r) = extract::Json::<ExternalArtifactsAccessConfig>::from_request(req, &s).await?;
    accepts(&headers, &["application/json"])?;
    let access = read(&s, id, r)?;
    let (a, goes_on) = who::through(async move {
        let set = s.domain(move |n| n.vnfm().set_access(id, &access, |a| if_match(&headers, a.revision))).await?;
        if set.1 {
            who::spawn(fetch::again(s, id.0));
        }
        Ok(set)
    })
    .await?;
    if goes_on {
        return Ok(StatusCode::ACCEPTED.into_response());
    }
    Ok(shown(&HeaderMap::new(), a.revision, &told(&a)))
}

/// A manifest names no more than a few.
const MOST: usize = 256;

fn read(s: &Services, id: VnfPkgId, r: ExternalArtifactsAccessConfig) -> Result<Vec<ArtefactAccess>> {
    let mut faults = Faults::default();
    let mut out: Vec<ArtefactAccess> = Vec::new();
    faults.refuse(r.artifact.len() > MOST, "artifact", "256 at most");
    for (i, a) in r.artifact.into_iter().enumerate() {
        let at = format!("artifact[{i}].");
        let (name, from) = match &a.override_uri {
            Some(o) => ("overrideUri", o.as_str()),
            None => ("artifactUri", a.artifact_uri.as_str()),
        };
        fetch::check(s, &format!("{at}{name}"), from, &mut faults);
        faults.refuse(out.iter().any(|o| o.uri == a.artifact_uri), &format!("{at}artifactUri"), "is given twice");
        let auth = match fetch::auth(&at, from, a.auth_type, a.params_oauth2_client_credentials, &mut faults) {
            Some(Auth::ClientCredentials { client, sealed: clear, endpoint }) => {
                let sealed = s.notify.seal(id.0, &String::from_utf8_lossy(&clear))?;
                Some(Auth::ClientCredentials { client, sealed, endpoint })
            }
            other => other,
        };
        out.push(ArtefactAccess { uri: a.artifact_uri, instead: a.override_uri, auth });
    }
    faults.end("ExternalArtifactsAccessConfig", out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_takes_what_its_parameters_say() {
        for (query, mano, one, other) in [
            ("", true, true, true),
            ("?exclude_all_mano_artifacts", false, true, true),
            ("?exclude_all_non_mano_artifacts", true, false, false),
            ("?select_non_mano_artifact_sets=one,third", true, true, false),
            ("?select_non_mano_artifact_sets=third&select_non_mano_artifact_sets=other", true, false, true),
            ("?exclude_all_non_mano_artifacts=&select_non_mano_artifact_sets=one", true, false, false),
            ("?include_signatures&include_external_artifacts", true, true, true),
        ] {
            let c = Choice::parse(&format!("/artifacts{query}").parse().expect("a URI")).expect("a choice");
            assert_eq!((c.takes(None), c.takes(Some("one")), c.takes(Some("other"))), (mano, one, other), "{query}");
        }
        assert!(Choice::parse(&"/artifacts?include_images".parse().expect("a URI")).is_err());
    }

    #[test]
    fn the_place_of_an_artefact_is_shown_without_the_key_in_its_query() {
        let mut a = Artefacts::none(VnfPkgId(uuid::Uuid::nil()), crate::model::id::ProjectId::DEFAULT);
        let instead = Some("https://shelf/tool.sh?X-Signature=hush".into());
        a.access = vec![ArtefactAccess { uri: "urn:tool".into(), instead, auth: None }];
        let shown = told(&a).artifact.remove(0);
        assert_eq!((shown.artifact_uri.as_str(), shown.override_uri.as_deref()), ("urn:tool", Some("https://shelf/tool.sh")));
    }
}
