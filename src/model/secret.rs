//! Secrets by name: descriptors and parameters refer to them, records never hold them in the clear.
//!
//! A parameter whose name says that it is a secret is either a reference, `{"secret": NAME}`, or it
//! is refused: what stands in a request stands in records, backups and answers too.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{
    error::{Fault, Result},
    id::ProjectId,
    param::{Param, Params},
    time::Stamp,
};

/// A sealed value (see `store::Sealer`). Read by templates as `secrets.NAME`, never by a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    pub name: SmolStr,
    pub project: ProjectId,
    pub sealed: Vec<u8>,
    pub created: Stamp,
}

impl Secret {
    /// Its key in the store, and what it is sealed for: projects have names of their own.
    pub fn key_of(project: ProjectId, name: &str) -> SmolStr {
        if project == ProjectId::DEFAULT { SmolStr::new(name) } else { smol_str::format_smolstr!("{project}/{name}") }
    }
    pub fn key(&self) -> SmolStr {
        Self::key_of(self.project, &self.name)
    }
    /// The name of one that came with something and is that thing's alone: no user can give such a name, or refer to it.
    pub fn inner_name(kind: &str, of: &str) -> SmolStr {
        smol_str::format_smolstr!("{kind}:{of}")
    }
    pub fn is_inner(name: &str) -> bool {
        name.contains(':')
    }
}

/// Words in the names of parameters that only a guest should read.
const WORDS: [&str; 9] = ["passw", "passphrase", "secret", "psk", "token", "credential", "apikey", "privatekey", "privkey"];
/// About a secret, not the secret: its name, where it is, how long it lives.
const ABOUT: [&str; 12] = ["name", "file", "path", "url", "uri", "id", "type", "ttl", "lifetime", "length", "policy", "expiry"];

/// Whether a parameter of this name is a secret, as far as names tell.
pub fn says_secret(name: &str) -> bool {
    let plain: String = name.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect();
    WORDS.iter().any(|w| plain.contains(w)) && !ABOUT.iter().any(|a| plain.ends_with(a))
}

impl Param {
    /// `{"secret": NAME}`: the value is that secret's, looked up when it is needed.
    pub fn as_secret(&self) -> Option<&str> {
        match self {
            Param::Map(m) => match &m[..] {
                [(key, Param::Text(name))] if key == "secret" => Some(name),
                _ => None,
            },
            Param::Null | Param::Bool(_) | Param::Number(_) | Param::Text(_) | Param::List(_) => None,
        }
    }

    /// The secrets it refers to, anywhere within.
    pub fn secrets(&self) -> Vec<&str> {
        match (self.as_secret(), self) {
            (Some(name), _) => vec![name],
            (None, Param::List(all)) => all.iter().flat_map(Param::secrets).collect(),
            (None, Param::Map(all)) => all.iter().flat_map(|(_, v)| v.secrets()).collect(),
            (None, Param::Null | Param::Bool(_) | Param::Number(_) | Param::Text(_)) => Vec::new(),
        }
    }

    /// Adds the paths at which a secret stands in the clear; `hot`: the name above says that it is one.
    fn in_the_clear(&self, at: &str, hot: bool, out: &mut Vec<String>) {
        if self.as_secret().is_some() {
            return;
        }
        match self {
            Param::Text(t) if hot && !t.is_empty() => out.push(at.into()),
            Param::Number(_) if hot => out.push(at.into()),
            Param::Null | Param::Bool(_) | Param::Number(_) | Param::Text(_) => {}
            Param::List(all) => all.iter().enumerate().for_each(|(i, v)| v.in_the_clear(&format!("{at}[{i}]"), hot, out)),
            Param::Map(all) => all.iter().for_each(|(k, v)| v.in_the_clear(&format!("{at}.{k}"), hot || says_secret(k), out)),
        }
    }
}

/// Refuses parameters that would keep a secret in the clear; all of them at once.
pub fn refuse_clear(params: &Params) -> Result<()> {
    let mut found = Vec::new();
    for (name, value) in params {
        value.in_the_clear(name, says_secret(name), &mut found);
    }
    let say = |at: &String| {
        format!(
            "'{at}' looks like a secret, and parameters are kept and shown as they are: store it with `bothy secret set NAME`, and give {{\"secret\": \"NAME\"}} in its place"
        )
    };
    match &found[..] {
        [] => Ok(()),
        [one] => Err(Fault::invalid(say(one))),
        more => {
            Err(Fault::invalid(format!("{} parameters would keep a secret in the clear", more.len())).with_reasons(more.iter().map(say)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_secrets_from_what_is_about_them() {
        for name in
            ["password", "admin_passwd", "wifiPsk", "API-Key", "api_key", "authToken", "clientSecret", "ssh_private_key", "Passphrase"]
        {
            assert!(says_secret(name), "{name}");
        }
        for name in ["site", "tokenUrl", "token_ttl", "secret_name", "passwordPolicy", "private_network", "ssh_keys", "key", "pass_through"]
        {
            assert!(!says_secret(name), "{name}");
        }
    }

    #[test]
    fn secrets_in_the_clear_are_found_at_every_depth_and_references_are_none() {
        let text = |t: &str| Param::Text(t.into());
        let reference = || Param::Map(vec![("secret".into(), text("wan"))]);
        let fine: Params = vec![
            ("site".into(), text("7")),
            ("password".into(), reference()),
            ("use_token".into(), Param::Bool(true)),
            ("psk".into(), text("")),
            ("users".into(), Param::List(vec![Param::Map(vec![("name".into(), text("a")), ("password".into(), reference())])])),
        ];
        refuse_clear(&fine).expect("nothing in the clear");
        assert_eq!(fine.iter().flat_map(|(_, v)| v.secrets()).collect::<Vec<_>>(), ["wan", "wan"]);
        let bad: Params = vec![
            ("password".into(), Param::Number("1234".into())),
            ("users".into(), Param::List(vec![Param::Map(vec![("psk".into(), text("hush"))])])),
            ("credentials".into(), Param::Map(vec![("login".into(), text("hush"))])),
        ];
        let fault = refuse_clear(&bad).expect_err("refused");
        let reasons = fault.reasons().join("\n");
        assert!(
            reasons.contains("'password'") && reasons.contains("'users[0].psk'") && reasons.contains("'credentials.login'"),
            "{reasons}"
        );
        assert!(!fault.detail().contains("hush") && fault.detail().contains("bothy secret set"), "{}", fault.detail());
    }
}
