//! `bothy completions SHELL`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{failure::Failure, output::say};

#[derive(Args)]
pub struct Completions {
    shell: Shell,
}

impl Completions {
    pub fn run<C: CommandFactory>(self) -> Result<(), Failure> {
        // Into memory first: what cannot be written panics there.
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut C::command(), "bothy", &mut text);
        say!("{}", String::from_utf8_lossy(&text).trim_end());
        Ok(())
    }
}
