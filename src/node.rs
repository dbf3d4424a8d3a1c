//! The composition root: the only room that names adapters.

pub mod account;
pub mod anew;
mod centre;
mod conditions;
pub mod core;
pub mod daemon;
pub mod desired;
pub mod ears;
mod log;
mod ports;
pub mod reset;
pub mod restore;
mod settings;
mod system;
pub mod ztp;

#[cfg(test)]
mod kit;
#[cfg(test)]
mod tests;
