//! API versions (SOL013 9): the `Version` header and the `api_versions` resources.

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::{
    problem::{Answer, Problem},
    routes::Routes,
};

/// One major of one API, as SOL003/SOL005 V3.7.1 number them.
#[derive(Debug, PartialEq, Eq)]
pub struct Api {
    pub name: &'static str,
    pub version: (u8, u8, u8),
    all: &'static str,
    one: &'static str,
}

pub static NSD: Api = Api { name: "nsd", version: (2, 3, 0), all: "/nsd/api_versions", one: "/nsd/v2/api_versions" };
pub static VNFPKGM: Api = Api { name: "vnfpkgm", version: (2, 4, 0), all: "/vnfpkgm/api_versions", one: "/vnfpkgm/v2/api_versions" };
pub static NSLCM: Api = Api { name: "nslcm", version: (2, 3, 0), all: "/nslcm/api_versions", one: "/nslcm/v2/api_versions" };
pub static VNFLCM: Api = Api { name: "vnflcm", version: (2, 3, 0), all: "/vnflcm/api_versions", one: "/vnflcm/v2/api_versions" };
/// The first majors, as SOL003 and SOL005 V2.7.1 number them.
pub static NSD_FIRST: Api = Api { name: "nsd", version: (1, 3, 0), all: "/nsd/api_versions", one: "/nsd/v1/api_versions" };
pub static VNFPKGM_FIRST: Api = Api { name: "vnfpkgm", version: (1, 3, 0), all: "/vnfpkgm/api_versions", one: "/vnfpkgm/v1/api_versions" };
pub static NSLCM_FIRST: Api = Api { name: "nslcm", version: (1, 3, 0), all: "/nslcm/api_versions", one: "/nslcm/v1/api_versions" };
pub static VNFLCM_FIRST: Api = Api { name: "vnflcm", version: (1, 3, 0), all: "/vnflcm/api_versions", one: "/vnflcm/v1/api_versions" };
pub static VNFPM_FIRST: Api = Api { name: "vnfpm", version: (1, 3, 0), all: "/vnfpm/api_versions", one: "/vnfpm/v1/api_versions" };
pub static NSPM_FIRST: Api = Api { name: "nspm", version: (1, 3, 0), all: "/nspm/api_versions", one: "/nspm/v1/api_versions" };
pub static VNFFM: Api = Api { name: "vnffm", version: (1, 5, 0), all: "/vnffm/api_versions", one: "/vnffm/v1/api_versions" };
pub static NSFM: Api = Api { name: "nsfm", version: (1, 3, 0), all: "/nsfm/api_versions", one: "/nsfm/v1/api_versions" };
pub static VNFPM: Api = Api { name: "vnfpm", version: (2, 2, 0), all: "/vnfpm/api_versions", one: "/vnfpm/v2/api_versions" };
pub static GRANT: Api = Api { name: "grant", version: (1, 7, 0), all: "/grant/api_versions", one: "/grant/v1/api_versions" };
pub static VNFIND: Api = Api { name: "vnfind", version: (1, 4, 0), all: "/vnfind/api_versions", one: "/vnfind/v1/api_versions" };
pub static VRQAN: Api = Api { name: "vrqan", version: (1, 3, 0), all: "/vrqan/api_versions", one: "/vrqan/v1/api_versions" };
pub static NSPM: Api = Api { name: "nspm", version: (2, 3, 0), all: "/nspm/api_versions", one: "/nspm/v2/api_versions" };
pub static NFVICI: Api = Api { name: "nfvici", version: (1, 1, 0), all: "/nfvici/api_versions", one: "/nfvici/v1/api_versions" };

/// The newest major of each before the older.
static APIS: [&Api; 18] = [
    &NSD,
    &VNFPKGM,
    &NSLCM,
    &VNFLCM,
    &VNFPM,
    &NSPM,
    &NSD_FIRST,
    &VNFPKGM_FIRST,
    &NSLCM_FIRST,
    &VNFLCM_FIRST,
    &VNFPM_FIRST,
    &NSPM_FIRST,
    &VNFFM,
    &NSFM,
    &GRANT,
    &VNFIND,
    &VRQAN,
    &NFVICI,
];

/// Every API served.
pub fn all() -> impl Iterator<Item = &'static Api> {
    APIS.iter().copied()
}

impl Api {
    /// The API a path belongs to: its newest major where the path names none.
    pub fn of(path: &str) -> Option<&'static Api> {
        let mut parts = path.trim_start_matches('/').split('/');
        let (first, major) = (parts.next()?, parts.next().unwrap_or_default());
        let of_name = || APIS.iter().copied().filter(|a| a.name == first);
        of_name().find(|a| major.strip_prefix('v').is_some_and(|m| m == a.version.0.to_string())).or_else(|| of_name().next())
    }

    /// What `Version` is on an answer, also on one that refuses what was asked: then it is what is served (SOL013 9.3.2).
    pub fn shown(path: &str, headers: &HeaderMap) -> Option<HeaderValue> {
        Api::agreed(path, headers).unwrap_or_else(|_| Api::agreed(path, &HeaderMap::new()).ok().flatten())
    }

    /// What `Version` is answered with; where a path names no major, any that is served is right.
    pub fn agreed(path: &str, headers: &HeaderMap) -> Answer<Option<HeaderValue>> {
        let Some(of) = Api::of(path) else { return Ok(None) };
        let any = APIS.iter().filter(|a| a.all == path).find_map(|a| a.negotiate(headers).ok());
        any.map_or_else(|| of.negotiate(headers), Ok).map(Some)
    }

    pub fn text(&self) -> String {
        let (a, b, c) = self.version;
        format!("{a}.{b}.{c}")
    }

    /// `ApiVersionInformation`, SOL013 9.1.2.
    fn information(majors: &[&Api]) -> Value {
        let versions: Vec<Value> = majors.iter().map(|a| json!({ "version": a.text(), "isDeprecated": false })).collect();
        json!({ "uriPrefix": format!("/{}", majors[0].name), "apiVersions": versions })
    }

    /// The two `api_versions` resources.
    pub fn routes(&'static self) -> Routes {
        self.and_before(&[])
    }

    /// The same where older majors are served beside it.
    pub fn and_before(&'static self, older: &[&'static Api]) -> Routes {
        let all: Vec<&Api> = older.iter().copied().chain([self]).collect();
        let all = Self::information(&all);
        Routes::default().get(self.all, move || async move { super::respond::Json(all) }).and(self.one())
    }

    /// That of this major alone.
    pub fn one(&'static self) -> Routes {
        Routes::default().get(self.one, move || async move { super::respond::Json(Self::information(&[self])) })
    }

    /// Checks `Version`; gives the value to answer with. It may be absent, for real clients omit
    /// it; any minor up to ours is served, since minors only add.
    pub fn negotiate(&self, headers: &HeaderMap) -> Answer<HeaderValue> {
        let Some(asked) = headers.get("version") else {
            return Ok(HeaderValue::try_from(self.text()).unwrap_or(HeaderValue::from_static("2.0.0")));
        };
        let text = asked.to_str().unwrap_or("");
        // "2.3.0-impl:etsi.org:..." names an implementation after the numbers.
        let numbers = text.split(['-', '+']).next().unwrap_or("").trim();
        let parts: Vec<u32> = numbers.split('.').map_while(|n| n.parse().ok()).collect();
        match parts[..] {
            [major, minor, _] if major == u32::from(self.version.0) && minor <= u32::from(self.version.1) => Ok(asked.clone()),
            _ => {
                let detail = format!("version '{text}' of {} is not served; {} is", self.name, self.text());
                Err(Box::new(Problem::new(StatusCode::NOT_ACCEPTABLE, detail)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_up_to_ours_are_served_and_echoed() {
        for (asked, ok) in [
            ("2.3.0", true),
            ("2.0.0", true),
            ("2.3.7-impl:etsi.org:ETSI_NFV_OpenAPI:1", true),
            ("2.4.0", false),
            ("1.3.0", false),
            ("2", false),
            ("two", false),
            ("", false),
        ] {
            let h = HeaderMap::from_iter([("version".parse().expect("name"), asked.parse().expect("value"))]);
            let got = NSLCM.negotiate(&h);
            assert_eq!(got.is_ok(), ok, "{asked}");
            if let Ok(v) = got {
                assert_eq!(v, asked);
            }
        }
        assert_eq!(VNFPKGM.negotiate(&HeaderMap::new()).expect("absent"), "2.4.0");
        assert_eq!(Api::of("/vnflcm/v2/vnf_instances"), Some(&VNFLCM));
        assert_eq!(Api::of("/vnflcm/v1/vnf_instances"), Some(&VNFLCM_FIRST));
        assert_eq!(Api::of("/vnflcm/api_versions"), Some(&VNFLCM));
        assert_eq!(Api::of("/bothy/v1/health"), None);
    }
}
