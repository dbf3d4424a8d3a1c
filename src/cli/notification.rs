//! `bothy notification`: who is told of what happens, how far each is, what was given up.

use clap::Subcommand;
use serde_json::Value;

use super::{
    client::Client,
    failure::Failure,
    names::short,
    output::{Out, plain},
};

const ALL: &str = "/bothy/v1/notifications";

#[derive(Subcommand)]
pub enum Notification {
    /// Subscribers: what waits for each, and how often it was tried in vain
    List,
    /// Notifications that were given up
    Dead,
    /// Send a subscriber's dead notifications once more, and end its pause
    Redeliver {
        /// Id of the subscription
        id: String,
    },
}

impl Notification {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        match self {
            Notification::List => {
                let all = client.get(ALL)?["subscribers"].take();
                let row = |s: &Value| {
                    let of = plain(&s["subscription"]);
                    let api = of.trim_start_matches('/').split('/').next().unwrap_or("").to_owned();
                    let dead = s["dead"].as_array().map_or(0, Vec::len).to_string();
                    let mut r = vec![plain(&s["id"]), api];
                    r.extend(["waiting", "attempts", "lost"].map(|m| plain(&s[m])));
                    r.extend([dead, plain(&s["callbackUri"]), s["why"].as_str().unwrap_or("").to_owned()]);
                    r
                };
                let rows = all.as_array().into_iter().flatten().map(row).collect();
                out.table(&all, &["ID", "API", "WAITING", "TRIES", "LOST", "DEAD", "CALLBACK", "WHY"], rows);
            }
            Notification::Dead => {
                let all = client.get(ALL)?["subscribers"].take();
                let mut rows = Vec::new();
                for s in all.as_array().into_iter().flatten() {
                    for d in s["dead"].as_array().into_iter().flatten() {
                        let mut r = vec![short(&plain(&s["id"])).to_owned()];
                        r.extend(["what", "attempts", "givenUp", "why"].map(|m| plain(&d[m])));
                        rows.push(r);
                    }
                }
                out.table(&all, &["SUBSCRIPTION", "WHAT", "TRIES", "GIVEN UP", "WHY"], rows);
            }
            Notification::Redeliver { id } => {
                if uuid::Uuid::parse_str(&id).is_err() {
                    return Err(Failure::Usage(format!("'{id}' is no id of a subscription: see bothy notification list")));
                }
                client.task(&format!("{ALL}/{id}/redeliver"))?;
                out.done(&Value::Null, &format!("subscriber {id} is tried again"));
            }
        }
        Ok(())
    }
}
