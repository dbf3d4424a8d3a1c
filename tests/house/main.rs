//! The house rules that a compiler does not hold: who may name whom, how files look, which
//! licences come in. All of them read the sources; nothing of Bothy runs here.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod files;
mod layers;
mod lexer;
mod licences;
mod paths;
mod rules;
mod tree;
mod yocto;
