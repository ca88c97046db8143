//! What does the one page say about the server that sent it?

use std::fmt::Write;

/// What a person may do through the console.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Everything that the caller's rights allow.
    #[default]
    Full,
    /// Nothing that writes is offered.
    ReadOnly,
}

/// How an environment is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// A quiet line.
    Plain,
    /// A stripe over the whole page, and no button that appends.
    Production,
}

/// The name above every page: which of several installations is this?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Shown as text.
    pub name: String,
    /// How loud it is.
    pub look: Look,
}

/// Fills in the page's blanks.
pub(crate) fn fill(
    template: &str,
    hash: &str,
    screen: Option<&str>,
    mode: Mode,
    environment: Option<&Environment>,
) -> String {
    // Without it a browser learns of the screen's file only when the router runs.
    let preload = screen.map_or_else(String::new, |name| {
        format!("<link rel=\"modulepreload\" href=\"/ui/assets/{hash}/screens/{name}.js\">\n")
    });
    let (name, look) = match environment {
        Some(of) => (escaped(&of.name), if of.look == Look::Production { "production" } else { "plain" }),
        None => (String::new(), ""),
    };
    template
        .replace("{preload}", &preload)
        .replace("{hash}", hash)
        .replace("{read_only}", if mode == Mode::ReadOnly { "true" } else { "false" })
        .replace("{environment_look}", look)
        .replace("{environment}", &name)
}

/// Text as it may stand in an attribute.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' | '<' | '>' | '"' | '\'' | '{' | '}' => {
                // Writing to a string does not fail.
                let _ = write!(out, "&#{};", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Environment, Look, Mode, fill};

    #[test]
    fn a_name_cannot_leave_its_attribute() {
        let environment = Environment { name: "\"><script>{hash}".to_owned(), look: Look::Production };
        let page = fill("<meta data-name=\"{environment}\">", "abc", None, Mode::Full, Some(&environment));
        assert_eq!(page, "<meta data-name=\"&#34;&#62;&#60;script&#62;&#123;hash&#125;\">");
    }

    #[test]
    fn every_blank_is_filled() {
        let page = fill(include_str!("../ui/index.html"), "abc", Some("stream"), Mode::ReadOnly, None);
        assert!(page.contains("href=\"/ui/assets/abc/screens/stream.js\""), "{page}");
        assert!(!page.contains('{'), "{page}");
        assert!(page.contains("/ui/assets/abc/app.js"));
        assert!(page.contains("data-read-only=\"true\""));
    }
}
