//! Day-0 data of a VDU: `boot_data` and the medium it goes on.
//!
//! Owns both forms of `boot_data`: text (SOL001 2.6.1) and key-values, content and files (since
//! 2.7.1; a list of files is taken too). Never renders a template.

use smol_str::SmolStr;

use super::{at::At, hints::Hints, load::Files};
use crate::{
    descriptor::archive::check_path,
    model::vnfd::{Day0, Day0File, Day0Source, Medium},
};

pub fn day0(template: &At<'_>, hints: &Hints<'_>, files: &Files<'_>) -> Option<Day0> {
    let data = template.property("boot_data");
    if data.is_none() && !hints.any_starting("day0.") {
        return None;
    }
    let medium = hints.medium().unwrap_or(Medium::NoCloud);
    let label = hints.get("day0.label").and_then(|at| {
        let t = at.text()?;
        let max = if medium == Medium::Fat { 11 } else { 32 };
        if t.is_empty() || t.len() > max || !t.bytes().all(|b| b.is_ascii_graphic()) {
            at.error(format!("'{t}' is not a volume label: 1 to {max} printable characters without space"));
        }
        Some(t)
    });
    let mut out = Day0 { medium, bus: hints.media_bus(), label, files: Vec::new(), defaults: Vec::new() };
    let Some(data) = data else { return Some(out) };
    if !data.is_map() {
        let text = data.text()?;
        out.files.push(Day0File { path: default_path(medium, None), source: Day0Source::Inline(text.to_string()), template: true });
        return Some(out);
    }
    data.known(&["vim_specific_properties", "kvp_data", "content_or_file_data"]);
    data.not_acted_on(&["vim_specific_properties"]);
    if let Some(kvp) = data.get("kvp_data") {
        kvp.known(&["data"]);
        pairs(&kvp, &mut out);
    }
    for file in data.get("content_or_file_data").map(|f| f.items()).unwrap_or_default() {
        file.known(&["data", "content", "source_path", "destination_path"]);
        pairs(&file, &mut out);
        if let Some(f) = one_file(&file, medium, files) {
            if out.files.iter().any(|o| o.path == f.path) {
                file.error(format!("'{}' is on the medium twice", f.path));
            }
            out.files.push(f);
        }
    }
    Some(out)
}

fn pairs(at: &At<'_>, out: &mut Day0) {
    for (k, v) in at.get("data").map(|d| d.entries()).unwrap_or_default() {
        if let Some(text) = v.text() {
            out.defaults.retain(|(o, _)| *o != k.text);
            out.defaults.push((k.text.clone(), text.to_string()));
        }
    }
}

fn one_file(at: &At<'_>, medium: Medium, files: &Files<'_>) -> Option<Day0File> {
    let (source, template, name) = match (at.get("content"), at.get("source_path")) {
        (Some(c), Some(_)) => {
            c.error_hint("content and source_path are both given", "keep one of them");
            return None;
        }
        (Some(c), None) => (Day0Source::Inline(c.text()?.to_string()), true, None),
        (None, Some(s)) => {
            let name = s.text()?;
            match files.resolve(&at.scope.file, &name) {
                Ok(path) => {
                    let text = is_text(&path, files);
                    let base = path.rsplit('/').next().map(SmolStr::new);
                    (Day0Source::Artifact(path), text, base)
                }
                Err(wanted) => {
                    let hint = files.suggest(&wanted).unwrap_or_else(|| "add the file to the package, or correct the path".to_owned());
                    s.error_hint(format!("'{wanted}' is not in the package"), hint);
                    return None;
                }
            }
        }
        (None, None) => {
            if at.get("data").is_none() {
                at.error_hint("brings neither content nor a file", "give content or source_path");
            }
            return None;
        }
    };
    let path = match at.get("destination_path") {
        None => default_path(medium, name),
        Some(d) => {
            let text = d.text()?;
            let text = text.trim_start_matches('/');
            if let Err(why) = check_path(text) {
                d.error(format!("'{text}' {why}"));
            }
            SmolStr::new(text)
        }
    };
    Some(Day0File { path, source, template })
}

/// Where a file without a destination goes.
fn default_path(medium: Medium, name: Option<SmolStr>) -> SmolStr {
    match (medium, name) {
        (Medium::NoCloud, _) => SmolStr::new_static("user-data"),
        (Medium::ConfigDrive, _) => SmolStr::new_static("openstack/latest/user_data"),
        (Medium::Iso | Medium::Fat, Some(name)) => name,
        (Medium::Iso | Medium::Fat, None) => SmolStr::new_static("user-data"),
    }
}

/// Templates are text; anything else is copied as it is.
fn is_text(path: &str, files: &Files<'_>) -> bool {
    let head = files.head(path, 64 << 10).unwrap_or_default();
    if head.contains(&0) {
        return false;
    }
    match std::str::from_utf8(&head) {
        Ok(_) => true,
        // A character cut by the end of what was read is no sign of a binary.
        Err(e) => e.error_len().is_none(),
    }
}
