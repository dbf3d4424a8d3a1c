//! The tokens that `bothy login` keeps: one line `ENDPOINT TOKEN` for each box, in a file only its owner reads.

use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};

use super::failure::Failure;

/// `$XDG_CONFIG_HOME/bothy/logins`, or below `~/.config`.
fn file() -> Option<Utf8PathBuf> {
    let var = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty()).map(Utf8PathBuf::from);
    let dir = var("XDG_CONFIG_HOME").or_else(|| var("HOME").map(|h| h.join(".config")))?;
    Some(dir.join("bothy/logins"))
}

/// The token kept for an endpoint.
pub fn kept(endpoint: &str) -> Option<String> {
    find(&std::fs::read_to_string(file()?).ok()?, endpoint)
}

fn find(text: &str, endpoint: &str) -> Option<String> {
    text.lines().filter_map(|l| l.split_once(' ')).find(|(e, _)| *e == endpoint).map(|(_, t)| t.to_owned())
}

fn with(text: &str, endpoint: &str, token: &str) -> String {
    let others = text.lines().filter(|l| l.split_once(' ').is_some_and(|(e, _)| e != endpoint));
    others.map(|l| format!("{l}\n")).collect::<String>() + &format!("{endpoint} {token}\n")
}

pub fn keep(endpoint: &str, token: &str) -> Result<Utf8PathBuf, Failure> {
    let file = file().ok_or_else(|| Failure::Here("neither XDG_CONFIG_HOME nor HOME says where to keep the token".into()))?;
    let next = with(&std::fs::read_to_string(&file).unwrap_or_default(), endpoint, token);
    let save = || -> std::io::Result<()> {
        std::fs::create_dir_all(file.parent().unwrap_or(Utf8Path::new("/")))?;
        let temp = file.with_extension("new");
        let mut f = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temp)?;
        f.write_all(next.as_bytes())?;
        std::fs::rename(&temp, &file)
    };
    save().map_err(|e| Failure::here(format!("cannot write {file}"), e))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_box_has_one_token_and_the_newest() {
        let text = with("", "https://a:1", "t1");
        let text = with(&text, "https://b:1", "t2");
        let text = with(&text, "https://a:1", "t3");
        assert_eq!(text, "https://b:1 t2\nhttps://a:1 t3\n");
        assert_eq!((find(&text, "https://a:1"), find(&text, "https://a")), (Some("t3".into()), None));
    }
}
