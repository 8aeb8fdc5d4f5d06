//! The page: template, style and script around the data, in one file that loads nothing else.

use super::draw::escape;
use crate::{Error, ErrorKind, Result, Stage};
use alloc::{format, string::String};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use sha2::{Digest, Sha256};

const TEMPLATE: &str = include_str!("page/template.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = concat!(
    "\"use strict\";(()=>{\n",
    include_str!("page/util.js"),
    include_str!("page/map.js"),
    include_str!("page/controls.js"),
    include_str!("page/details.js"),
    include_str!("page/charts.js"),
    include_str!("page/sections.js"),
    "})();\n"
);

/// The whole page.
pub(super) fn page(title: &str, data: &impl Serialize) -> Result<String> {
    let json = serde_json::to_string(data)
        .map_err(|e| Error::new(ErrorKind::Io, Stage::Sink, format!("report: {e}")).because(e))?;
    // The policy names the page's own style and script by digest, so that nothing a name smuggles in runs.
    let hash = |text: &str| format!("sha256-{}", STANDARD.encode(Sha256::digest(text)));
    let parts = [
        ("{{STYLE_HASH}}", hash(STYLE)),
        ("{{SCRIPT_HASH}}", hash(SCRIPT)),
        ("{{TITLE}}", escape(title)),
        ("{{STYLE}}", String::from(STYLE)),
        ("{{DATA}}", script_safe(&json)),
        ("{{SCRIPT}}", String::from(SCRIPT)),
    ];
    let mut out = String::with_capacity(TEMPLATE.len() + json.len() + STYLE.len() + SCRIPT.len());
    let mut rest = TEMPLATE;
    // One pass, so that a placeholder inside a value stays text.
    while let Some(at) = rest.find("{{") {
        let (before, here) = rest.split_at(at);
        out.push_str(before);
        match parts.iter().find(|(name, _)| here.starts_with(name)) {
            Some((name, value)) => {
                out.push_str(value);
                rest = here.get(name.len()..).unwrap_or_default();
            }
            None => {
                out.push_str("{{");
                rest = here.get(2..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// JSON that can't end the script element around it, nor open a comment in it.
fn script_safe(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// Little-endian numbers as base64.
pub(super) fn base64_of<T: bytemuck::NoUninit>(values: &[T]) -> String {
    STANDARD.encode(bytemuck::cast_slice::<T, u8>(values))
}

pub(super) fn base64_bytes(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_text() {
        let evil = [
            "</script><script>alert(1)</script>",
            "<!--",
            "{{SCRIPT}}",
            "a\"b\\c\u{2028}",
            "<img onerror=x>",
        ];
        let page = page("</title><b>{{DATA}}", &evil).unwrap();
        let start = page.find("id=\"data\">").unwrap() + "id=\"data\">".len();
        let end = start + page[start..].find("</script>").unwrap();
        let back: alloc::vec::Vec<String> = serde_json::from_str(&page[start..end]).unwrap();
        assert_eq!(back, evil);
        assert!(!page[start..end].contains('<'));
        assert!(page.contains("<title>&lt;/title&gt;&lt;b&gt;{{DATA}}</title>"));
        assert_eq!(page.matches("<script").count(), 2);
        assert_eq!(page.matches("</script>").count(), 2);
    }
}
