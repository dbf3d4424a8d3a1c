//! `bothy subscription`: who is told of what, by each API that tells (SOL005 5.4.8, 6.4.16, 8.4.4, 9.4.8; SOL003 5.4.18, 7.4.4).

use camino::Utf8PathBuf;
use clap::{Subcommand, ValueEnum};
use serde_json::Value;

use super::{
    client::Client,
    failure::Failure,
    output::{Out, plain},
    resource::{Kind, request},
};

/// Which API tells.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Api {
    /// Network service descriptors
    Nsd,
    /// VNF packages
    Vnfpkgm,
    /// Operations of network services
    Nslcm,
    /// Alarms of network services
    Nsfm,
    /// Operations of VNFs
    Vnflcm,
    /// Alarms of VNFs
    Vnffm,
    /// What VNFs tell of themselves
    Vnfind,
    /// Room for what foreign VNFMs were refused
    Vrqan,
}

const fn kind(path: &'static str) -> Kind {
    Kind { what: "subscription", path, columns: &[], names: &[] }
}

impl Api {
    fn kind(self) -> Kind {
        match self {
            Api::Nsd => kind("/nsd/v2/subscriptions"),
            Api::Vnfpkgm => kind("/vnfpkgm/v2/subscriptions"),
            Api::Nslcm => kind("/nslcm/v2/subscriptions"),
            Api::Nsfm => kind("/nsfm/v1/subscriptions"),
            Api::Vnflcm => kind("/vnflcm/v2/subscriptions"),
            Api::Vnffm => kind("/vnffm/v1/subscriptions"),
            Api::Vnfind => kind("/vnfind/v1/subscriptions"),
            Api::Vrqan => kind("/vrqan/v1/subscriptions"),
        }
    }
    fn word(self) -> String {
        self.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default()
    }
}

#[derive(Subcommand)]
pub enum Subscription {
    /// All of them, or those of one API; how far each is: bothy notification list
    List { api: Option<Api> },
    /// Have somebody told. It has to answer a GET with 204 now
    Create {
        api: Api,
        /// Who is told
        #[arg(long, value_name = "URL")]
        callback: Option<String>,
        /// Notifications of operations without what was changed (nslcm, vnflcm)
        #[arg(long)]
        short: bool,
        /// The rest of the request, such as `filter` and `authentication`, JSON or YAML
        #[arg(long, value_name = "FILE")]
        request: Option<Utf8PathBuf>,
    },
    /// One in full, but for its credentials
    Show {
        /// Id, or the start of it
        id: String,
    },
    /// Ask a subscriber, as when it was made, whether it answers
    Test {
        /// Id of a subscription, a PM job or a threshold; of a subscription the start of it will do
        id: String,
    },
    /// It is told no more
    Delete {
        /// Id, or the start of it
        id: String,
    },
}

impl Subscription {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        match self {
            Subscription::List { api } => {
                let (mut raw, mut rows) = (Vec::new(), Vec::new());
                for of in Api::value_variants().iter().filter(|a| api.is_none_or(|one| one == **a)) {
                    let there = match of.kind().list(client) {
                        // Not every listener has what is for foreign VNFMs.
                        Err(Failure::Refused { status: 404, .. }) if *of == Api::Vrqan && api.is_none() => Vec::new(),
                        listed => listed?,
                    };
                    for s in there {
                        let filter = if s["filter"].is_null() { "everything".to_owned() } else { s["filter"].to_string() };
                        rows.push(vec![plain(&s["id"]), of.word(), plain(&s["callbackUri"]), filter]);
                        raw.push(s);
                    }
                }
                out.table(&Value::Array(raw), &["ID", "API", "CALLBACK", "FILTER"], rows);
            }
            Subscription::Create { api, callback, short, request: file } => {
                let mut body = request(file.as_deref())?;
                if let Some(url) = callback {
                    body.insert("callbackUri".into(), url.into());
                }
                if short {
                    body.insert("verbosity".into(), "SHORT".into());
                }
                let answer = client.post(api.kind().path, &Value::Object(body))?;
                // SOL003 5.4.18.3.1: the same again is answered with where it is.
                let there = answer.location.unwrap_or_default();
                let id = there.rsplit('/').next().unwrap_or_default();
                if answer.body.is_null() {
                    out.done(&client.get(&there)?, &format!("subscription {id} is the same, and there already"));
                } else {
                    out.done(&answer.body, &format!("subscription {id}: {} is told", plain(&answer.body["callbackUri"])));
                }
            }
            Subscription::Show { id } => out.record(&client.get(&find(client, &id)?)?),
            Subscription::Test { id } => {
                let id = match uuid::Uuid::parse_str(&id) {
                    Ok(_) => id,
                    Err(_) => find(client, &id)?.rsplit('/').next().unwrap_or_default().to_owned(),
                };
                client.task(&format!("/bothy/v1/notifications/{id}/test"))?;
                out.done(&Value::Null, &format!("the subscriber of {id} answers"));
            }
            Subscription::Delete { id } => {
                client.delete(&find(client, &id)?)?;
                out.done(&Value::Null, &format!("deleted subscription {id}"));
            }
        }
        Ok(())
    }
}

/// Its path, whichever API it is of.
fn find(client: &Client, id: &str) -> Result<String, Failure> {
    let found: Result<Vec<Option<String>>, Failure> = Api::value_variants().iter().map(|api| api.kind().maybe(client, id)).collect();
    only(found?.into_iter().flatten().collect(), id)
}

/// The start of an id may be that of one in several APIs: none of them is meant more than the others.
fn only(mut found: Vec<String>, id: &str) -> Result<String, Failure> {
    match (found.pop(), found.len()) {
        (Some(one), 0) => Ok(one),
        (None, _) => Err(Failure::Refused { status: 404, detail: format!("there is no subscription '{id}'"), reasons: Vec::new() }),
        (Some(last), more) => {
            found.push(last);
            Err(Failure::Usage(format!("'{id}' could be {} subscriptions: name one by its whole id: {}", more + 1, found.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_one_of_several_apis_is_asked_again() {
        let found = |paths: &[&str]| only(paths.iter().map(|p| (*p).to_owned()).collect(), "abcd");
        assert_eq!(found(&["/nsd/v2/subscriptions/abcd1"]).ok().as_deref(), Some("/nsd/v2/subscriptions/abcd1"));
        assert!(matches!(found(&[]), Err(Failure::Refused { status: 404, .. })));
        let both = found(&["/nsd/v2/subscriptions/abcd1", "/vnflcm/v2/subscriptions/abcd2"]);
        assert!(
            matches!(both, Err(Failure::Usage(ref t)) if t.contains("could be 2") && t.contains("abcd1, /vnflcm")),
            "nothing is guessed"
        );
    }
}
