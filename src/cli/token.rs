//! `bothy token`, `bothy login`, which keeps one for the commands after it, and `bothy passwd`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    client::Client,
    failure::Failure,
    identity::{named, password},
    login,
    output::{Out, plain},
    secret::typed,
};

const TOKENS: &str = "/bothy/v1/tokens";

#[derive(Subcommand)]
pub enum Token {
    List,
    /// Make one; it is shown this one time
    Create {
        /// Whose; your own by default
        #[arg(long)]
        account: Option<String>,
        #[arg(long, default_value = "")]
        label: String,
        /// Seconds until it ends; without, it lasts until it is revoked
        #[arg(long, value_name = "SECONDS")]
        expires_in: Option<u32>,
    },
    Revoke {
        id: String,
    },
}

impl Token {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        match self {
            Token::List => {
                let all = client.get(TOKENS)?;
                let row = |t: &Value| ["id", "account", "label", "created", "expires"].iter().map(|k| plain(&t[*k])).collect();
                let rows = all.as_array().into_iter().flatten().map(row).collect();
                out.table(&all, &["ID", "ACCOUNT", "LABEL", "CREATED", "EXPIRES"], rows);
            }
            Token::Create { account, label, expires_in } => {
                let body = json!({"account": account, "label": label, "expiresIn": expires_in});
                out.record(&client.post(TOKENS, &body)?.body);
            }
            Token::Revoke { id } => {
                client.delete(&named(TOKENS, &id)?)?;
                out.done(&Value::Null, &format!("token {id} is revoked"));
            }
        }
        Ok(())
    }
}

#[derive(Args)]
pub struct Login {
    /// The user; its password is typed without an echo, or read from stdin
    user: String,
}

impl Login {
    pub fn run(self, client: &Client, out: &Out) -> Result<(), Failure> {
        let endpoint = client.endpoint();
        if !endpoint.starts_with("https://") {
            return Err(Failure::Usage("login is for another box: give --endpoint; on this one root needs no token".into()));
        }
        let encode = |text: &str| text.bytes().map(|b| format!("%{b:02X}")).collect::<String>();
        let form = format!("grant_type=password&username={}&password={}", encode(&self.user), encode(&password(&self.user)?));
        let given = client.post_text("/oauth2/token", "application/x-www-form-urlencoded", form)?.body;
        let token = given["access_token"].as_str().ok_or_else(|| Failure::Here("the answer has no token".into()))?;
        let file = login::keep(&endpoint, token)?;
        let life = plain(&given["expires_in"]);
        out.done(&json!({"expiresIn": given["expires_in"]}), &format!("{} is logged in at {endpoint} for {life} s ({file})", self.user));
        Ok(())
    }
}

/// Typed on a terminal the new one is asked for twice, since nobody sees it.
pub fn passwd(client: &Client, out: &Out) -> Result<(), Failure> {
    let line = |text: &str| text.strip_suffix('\n').unwrap_or(text).to_owned();
    let first = typed("old password")?;
    let (old, new) = match first.trim_end_matches('\n').split_once('\n') {
        Some((old, new)) => (old.to_owned(), new.to_owned()),
        None => {
            let new = typed("new password")?;
            if typed("the new password again")? != new {
                return Err(Failure::Usage("the new password was not the same twice".into()));
            }
            (line(&first), line(&new))
        }
    };
    client.post("/bothy/v1/whoami/password", &json!({"old": old, "new": new}))?;
    out.done(&Value::Null, "the password is changed; tokens stay");
    Ok(())
}
