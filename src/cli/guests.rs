//! `bothy host guests` and `bothy store acknowledge`: what is on the host and in no record.

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    client::Client,
    console,
    failure::Failure,
    logs,
    names::list,
    output::{Out, align, plain, say},
};

#[derive(Subcommand)]
pub enum Guests {
    /// Remove one of them; its disks go when none is left
    Remove { id: String },
    /// What one of them wrote to its serial console
    Logs {
        id: String,
        /// Go on with what comes
        #[arg(long, short)]
        follow: bool,
    },
    /// The serial console of one of them in this terminal; Ctrl-] leaves it
    Console {
        id: String,
        /// Its VNC instead, on a local port
        #[arg(long)]
        vnc: bool,
        /// Where a VNC viewer connects to
        #[arg(long, default_value = "127.0.0.1:5900", value_name = "ADDRESS:PORT", requires = "vnc")]
        listen: std::net::SocketAddr,
    },
}

fn path(id: &str, of: &str) -> String {
    format!("/bothy/v1/host/guests/{id}{of}")
}

const HEAD: &[&str] = &["GUEST", "STATE", "VNF", "VDU", "GENERATION", "PROJECT", "OPERATION"];

fn row(g: &Value) -> Vec<String> {
    let vdu = format!("{}/{}", plain(&g["vdu"]), plain(&g["index"]));
    let text = |member: &str| plain(&g[member]);
    vec![text("id"), text("state"), text("vnfName"), vdu, text("generation"), text("projectId"), text("operationId")]
}

pub fn run(what: Option<Guests>, client: &Client, out: &Out) -> Result<(), Failure> {
    match what {
        None => {
            let all = client.get("/bothy/v1/host/guests")?;
            out.table(&all, HEAD, all.as_array().into_iter().flatten().map(row).collect());
        }
        Some(Guests::Remove { id }) => {
            client.delete(&path(&id, ""))?;
            out.done(&json!({ "id": id }), &format!("removed guest {id}"));
        }
        Some(Guests::Logs { id, follow }) => return logs::run(client, &path(&id, "/serial"), follow),
        Some(Guests::Console { id, vnc: true, listen }) => return console::vnc(client, &path(&id, "/console?device=vnc"), &id, listen),
        Some(Guests::Console { id, .. }) => return console::serial(client, &path(&id, "/console"), &id),
    }
    Ok(())
}

/// What stays and what goes, once a restored store is acknowledged.
pub fn strays(s: &Value, plan: bool, out: &Out) {
    if out.json {
        out.value(s);
        return;
    }
    if plan && s["restored"] != true {
        say!("the store does not count as restored: this is what the next look at the host does");
    }
    let (stay, go) = (list(s, "left"), list(&s["removed"], "guests"));
    if !stay.is_empty() {
        say!("left alone, with all links and files that no record names (bothy host guests remove ID):");
        say!("{}", align(HEAD, &stay.iter().map(row).collect::<Vec<_>>()));
    }
    let verb = if plan { "would be removed" } else { "removed from now on" };
    if !go.is_empty() {
        say!("{verb}:\n{}", align(HEAD, &go.iter().map(row).collect::<Vec<_>>()));
    }
    for what in ["disks", "media", "ports", "dhcp"] {
        let all: Vec<String> = list(&s["removed"], what).iter().map(plain).collect();
        if !all.is_empty() {
            say!("{verb}, {what}: {}", all.join(", "));
        }
    }
    if !plan {
        say!("the store is acknowledged");
    }
}
