//! `bothy user`, `bothy client`, `bothy role`: who may do what.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{
    client::Client as Http,
    failure::Failure,
    output::{Out, plain},
    secret::typed,
};

const USERS: &str = "/bothy/v1/users";
const CLIENTS: &str = "/bothy/v1/clients";
const ROLES: &str = "/bothy/v1/roles";

/// The path of something by its name.
pub fn named(base: &str, name: &str) -> Result<String, Failure> {
    let fine = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._@-".contains(c));
    if fine {
        Ok(format!("{base}/{name}"))
    } else {
        Err(Failure::Usage(format!("'{name}' is no name: letters, digits, '.', '_', '@' and '-'")))
    }
}

#[derive(Args)]
pub struct Rights {
    /// A role it shall have; repeat for more
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// The project it belongs to
    #[arg(long = "in", value_name = "PROJECT")]
    project: Option<String>,
}

impl Rights {
    fn into(self, body: &mut Map<String, Value>) {
        if !self.roles.is_empty() {
            body.insert("roles".into(), json!(self.roles));
        }
        if let Some(p) = self.project {
            body.insert("project".into(), p.into());
        }
    }
}

fn list(http: &Http, out: &Out, path: &str) -> Result<(), Failure> {
    let all = http.get(path)?;
    let row = |a: &Value| vec![plain(&a["name"]), plain(&a["roles"]), plain(&a["project"]), plain(&a["enabled"])];
    let rows = all.as_array().into_iter().flatten().map(row).collect();
    out.table(&all, &["NAME", "ROLES", "PROJECT", "ENABLED"], rows);
    Ok(())
}

fn change(http: &Http, out: &Out, path: &str, body: Map<String, Value>) -> Result<(), Failure> {
    if body.is_empty() {
        return Err(Failure::Usage("nothing to change".into()));
    }
    out.record(&http.patch(path, &Value::Object(body))?.body);
    Ok(())
}

fn delete(http: &Http, out: &Out, path: &str, name: &str) -> Result<(), Failure> {
    http.delete(path)?;
    out.done(&Value::Null, &format!("{name} is gone, and its tokens with it"));
    Ok(())
}

#[derive(Subcommand)]
pub enum User {
    List,
    Show {
        name: String,
    },
    /// Make one; its password is typed without an echo, or read from stdin, and is never an argument
    Create {
        name: String,
        #[command(flatten)]
        rights: Rights,
        /// Tokens only
        #[arg(long)]
        no_password: bool,
    },
    /// Change roles, project, or whether it gets in
    Set {
        name: String,
        #[command(flatten)]
        rights: Rights,
        #[arg(long)]
        enabled: Option<bool>,
    },
    /// Set its password
    Passwd {
        name: String,
    },
    Delete {
        name: String,
    },
}

impl User {
    pub fn run(self, http: &Http, out: &Out) -> Result<(), Failure> {
        match self {
            User::List => list(http, out, USERS),
            User::Show { name } => {
                out.record(&http.get(&named(USERS, &name)?)?);
                Ok(())
            }
            User::Create { name, rights, no_password } => {
                let mut body = Map::from_iter([("name".to_owned(), json!(name))]);
                if !no_password {
                    body.insert("password".into(), password(&name)?.into());
                }
                rights.into(&mut body);
                out.record(&http.post(USERS, &Value::Object(body))?.body);
                Ok(())
            }
            User::Set { name, rights, enabled } => {
                let mut body = Map::new();
                rights.into(&mut body);
                if let Some(e) = enabled {
                    body.insert("enabled".into(), e.into());
                }
                change(http, out, &named(USERS, &name)?, body)
            }
            User::Passwd { name } => {
                let body = Map::from_iter([("password".to_owned(), password(&name)?.into())]);
                change(http, out, &named(USERS, &name)?, body)
            }
            User::Delete { name } => delete(http, out, &named(USERS, &name)?, &name),
        }
    }
}

pub fn password(name: &str) -> Result<String, Failure> {
    let text = typed(&format!("password of {name}"))?;
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
}

#[derive(Args)]
pub struct Certificates {
    /// Its certificate's SHA-256 fingerprint
    #[arg(long, value_name = "SHA256")]
    fingerprint_of: Vec<String>,
    /// Its certificate's common name
    #[arg(long, value_name = "NAME")]
    cn: Vec<String>,
    /// A DNS name of its certificate
    #[arg(long, value_name = "NAME")]
    dns: Vec<String>,
    /// A URI of its certificate
    #[arg(long, value_name = "URI")]
    uri: Vec<String>,
}

impl Certificates {
    fn into(self, body: &mut Map<String, Value>) {
        let all = [("fingerprint", self.fingerprint_of), ("commonName", self.cn), ("dns", self.dns), ("uri", self.uri)];
        let all: Vec<Value> = all.into_iter().flat_map(|(k, names)| names.into_iter().map(move |n| json!({ k: n }))).collect();
        if !all.is_empty() {
            body.insert("certificates".into(), all.into());
        }
    }
}

#[derive(Subcommand)]
pub enum Client {
    List,
    Show {
        name: String,
    },
    /// Make one; its secret is shown this one time
    Create {
        name: String,
        #[command(flatten)]
        rights: Rights,
        #[command(flatten)]
        certificates: Certificates,
    },
    /// Change roles, project, certificates (all of them), or whether it gets in
    Set {
        name: String,
        #[command(flatten)]
        rights: Rights,
        #[command(flatten)]
        certificates: Certificates,
        #[arg(long)]
        enabled: Option<bool>,
    },
    /// A new secret, shown this one time; the old one is void
    Secret {
        name: String,
    },
    Delete {
        name: String,
    },
}

impl Client {
    pub fn run(self, http: &Http, out: &Out) -> Result<(), Failure> {
        match self {
            Client::List => list(http, out, CLIENTS),
            Client::Show { name } => {
                out.record(&http.get(&named(CLIENTS, &name)?)?);
                Ok(())
            }
            Client::Create { name, rights, certificates } => {
                let mut body = Map::from_iter([("name".to_owned(), json!(name))]);
                rights.into(&mut body);
                certificates.into(&mut body);
                out.record(&http.post(CLIENTS, &Value::Object(body))?.body);
                Ok(())
            }
            Client::Set { name, rights, certificates, enabled } => {
                let mut body = Map::new();
                rights.into(&mut body);
                certificates.into(&mut body);
                if let Some(e) = enabled {
                    body.insert("enabled".into(), e.into());
                }
                change(http, out, &named(CLIENTS, &name)?, body)
            }
            Client::Secret { name } => {
                out.record(&http.task(&format!("{}/secret", named(CLIENTS, &name)?))?.body);
                Ok(())
            }
            Client::Delete { name } => delete(http, out, &named(CLIENTS, &name)?, &name),
        }
    }
}

#[derive(Subcommand)]
pub enum Role {
    List,
    /// What a role may
    Show {
        name: String,
    },
    /// Make one, or replace it
    Set {
        name: String,
        /// RESOURCE:ACTION, such as vnf:read; repeat for more
        #[arg(long = "may", value_name = "PERMISSION", required = true)]
        permissions: Vec<String>,
        #[arg(long, default_value = "")]
        description: String,
        /// Holders see and change what every project owns
        #[arg(long)]
        every_project: bool,
    },
    Delete {
        name: String,
    },
}

impl Role {
    pub fn run(self, http: &Http, out: &Out) -> Result<(), Failure> {
        match self {
            Role::List => {
                let all = http.get(ROLES)?;
                let row = |r: &Value| {
                    let kind = if r["builtIn"] == true { "built in" } else { "own" };
                    vec![plain(&r["name"]), kind.to_owned(), plain(&r["everyProject"]), plain(&r["description"])]
                };
                let rows = all.as_array().into_iter().flatten().map(row).collect();
                out.table(&all, &["NAME", "KIND", "EVERY PROJECT", "DESCRIPTION"], rows);
            }
            Role::Show { name } => {
                let all = http.get(ROLES)?;
                let found = all.as_array().into_iter().flatten().find(|r| r["name"] == name.as_str());
                let missing = || Failure::Refused { status: 404, detail: format!("there is no role '{name}'"), reasons: Vec::new() };
                out.record(found.ok_or_else(missing)?);
            }
            Role::Set { name, permissions, description, every_project } => {
                let body = json!({"permissions": permissions, "description": description, "everyProject": every_project});
                http.put(&named(ROLES, &name)?, &body)?;
                out.done(&Value::Null, &format!("role {name} is set"));
            }
            Role::Delete { name } => {
                http.delete(&named(ROLES, &name)?)?;
                out.done(&Value::Null, &format!("role {name} is gone"));
            }
        }
        Ok(())
    }
}
