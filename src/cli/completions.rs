//! `bothy completions SHELL`

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::failure::Failure;

#[derive(Args)]
pub struct Completions {
    shell: Shell,
}

impl Completions {
    pub fn run<C: CommandFactory>(self) -> Result<(), Failure> {
        clap_complete::generate(self.shell, &mut C::command(), "bothy", &mut std::io::stdout());
        Ok(())
    }
}
