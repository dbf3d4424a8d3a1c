//! `bothy serve`

use camino::Utf8PathBuf;
use clap::Args;

use super::failure::Failure;
use crate::node::daemon;

/// Run the daemon in the foreground until SIGTERM; SIGHUP applies the configuration anew.
#[derive(Args)]
pub struct Serve {
    /// The configuration; without it /etc/bothy/bothy.toml if there is one, else the defaults
    #[arg(long, short, env = "BOTHY_CONFIG", value_name = "FILE")]
    config: Option<Utf8PathBuf>,
}

impl Serve {
    pub fn run(self) -> Result<(), Failure> {
        let live = daemon::configuration(self.config.as_deref())?;
        Ok(daemon::serve(live)?)
    }
}
