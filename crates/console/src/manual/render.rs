//! How does a page of Markdown become a page of HTML?

use std::collections::HashMap;
use std::fmt::Write;

use pulldown_cmark::{Alignment, CodeBlockKind, CowStr, Event, Options, Parser, Tag, TagEnd, html};

use super::pages::{Entry, PAGES, contents, markdown};
use crate::page::escaped;

/// The address of a page's path below the manual's root.
pub(super) fn address(path: &str) -> &str {
    match path {
        "README.md" => "",
        _ => path.strip_suffix(".md").unwrap_or(path),
    }
}

/// The whole page at an address below the manual's root, if there is one.
pub(super) fn page(address_of_it: &str) -> Option<String> {
    let (path, _) = PAGES.iter().find(|(path, _)| address(path) == address_of_it)?;
    let (title, body) = body(path, &markdown(path)?);
    let title = if title == "Factum" { title } else { format!("{title} · Factum") };
    let up = "../".repeat(path.matches('/').count());
    let up = if up.is_empty() { "./" } else { &up };
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{}</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n<link rel=\"stylesheet\" href=\"{up}manual.css\">\n\
         <a class=\"skip\" href=\"#page\">To the text</a>\n<header><a href=\"{up}\">Factum {}</a> \
         <a class=\"narrow\" href=\"#contents\">Contents</a> \
         <a href=\"/ui/\">Console</a> <a href=\"/docs/api\">API</a> <a href=\"{up}manual.md\">Everything as one text</a></header>\n",
        escaped(&title),
        env!("CARGO_PKG_VERSION"),
    );
    put_contents(&mut out, path, up);
    let _ = write!(out, "<main id=\"page\" tabindex=\"-1\">\n{body}");
    put_neighbours(&mut out, path, up);
    out.push_str("</main>\n</html>\n");
    Some(out)
}

/// Every page in reading order, as one text: for searching, printing, and for programs that read.
pub(super) fn whole() -> String {
    let mut out = String::new();
    for entry in contents() {
        let Entry::Page(_, path) = entry else { continue };
        let _ = write!(out, "<!-- {path} -->\n\n{}\n", markdown(path).unwrap_or_default());
    }
    out
}

fn put_contents(out: &mut String, here: &str, up: &str) {
    out.push_str("<nav id=\"contents\" aria-label=\"Manual\">\n");
    let mut open = false;
    for entry in contents() {
        match entry {
            Entry::Part(part) => {
                let close = if std::mem::replace(&mut open, true) { "</ul>\n" } else { "" };
                let _ = writeln!(out, "{close}<h2>{}</h2>\n<ul>", escaped(part));
            }
            Entry::Page(title, path) if open => {
                let current = if path == here { " aria-current=\"page\"" } else { "" };
                let _ = writeln!(
                    out,
                    "<li><a href=\"{up}{}\"{current}>{}</a></li>",
                    address(path),
                    escaped(title)
                );
            }
            Entry::Page(..) => {}
        }
    }
    out.push_str(if open { "</ul>\n</nav>\n" } else { "</nav>\n" });
}

fn put_neighbours(out: &mut String, here: &str, up: &str) {
    let pages: Vec<(&str, &str)> = contents()
        .filter_map(|entry| match entry {
            Entry::Page(title, path) => Some((title, path)),
            Entry::Part(_) => None,
        })
        .collect();
    let Some(at) = pages.iter().position(|(_, path)| *path == here) else { return };
    out.push_str("<footer>\n");
    let mut put = |rel: &str, place: Option<usize>| {
        if let Some((title, path)) = place.and_then(|place| pages.get(place)) {
            let arrow = if rel == "prev" { ("\u{2190} ", "") } else { ("", " \u{2192}") };
            let _ = writeln!(
                out,
                "<a rel=\"{rel}\" href=\"{up}{}\">{}{}{}</a>",
                address(path),
                arrow.0,
                escaped(title),
                arrow.1
            );
        }
    };
    put("prev", at.checked_sub(1));
    put("next", Some(at + 1));
    out.push_str("</footer>\n");
}

/// The title of a page and its HTML.
fn body(path: &str, markdown: &str) -> (String, String) {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let mut events: Vec<Event<'_>> = Parser::new_ext(markdown, options).collect();
    let title = name_headings(&mut events);
    let mut code = Code::None;
    let mut leads_out = false;
    let events = events.into_iter().map(|event| match event {
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => match target(path, &dest_url) {
            Some(dest_url) => Event::Start(Tag::Link { link_type, dest_url, title, id }),
            None => {
                leads_out = true;
                Event::Start(Tag::Emphasis)
            }
        },
        Event::End(TagEnd::Link) if std::mem::take(&mut leads_out) => Event::End(TagEnd::Emphasis),
        Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
            code = if info.starts_with("rust") { Code::Rust } else { Code::Other };
            // The class is the language alone.
            let language = info.split([' ', ',']).next().unwrap_or_default().to_owned();
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language.into())))
        }
        Event::End(TagEnd::CodeBlock) => {
            code = Code::None;
            Event::End(TagEnd::CodeBlock)
        }
        // Where a column stands is style, and the policy takes none within a page.
        Event::Start(Tag::Table(columns)) => Event::Start(Tag::Table(vec![Alignment::None; columns.len()])),
        Event::Text(text) if code == Code::Rust => Event::Text(without_hidden(&text).into()),
        // A page of ours has no HTML; what looks like it is text.
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        event => event,
    });
    let mut out = String::new();
    html::push_html(&mut out, events);
    // What is wide moves by itself, and not the page; by keyboard too.
    let out = out
        .replace("<table>", "<div class=\"wide\" tabindex=\"0\"><table>")
        .replace("</table>", "</table></div>")
        .replace("<pre>", "<pre tabindex=\"0\">");
    (title, out)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Code {
    None,
    Rust,
    Other,
}

/// Gives each heading the id that links use, and says what the first one is.
fn name_headings(events: &mut [Event<'_>]) -> String {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut title = None;
    let mut at = 0;
    while at < events.len() {
        if matches!(events[at], Event::Start(Tag::Heading { .. })) {
            let text: String = events[at + 1..]
                .iter()
                .take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))))
                .filter_map(|event| match event {
                    Event::Text(text) | Event::Code(text) => Some(&**text),
                    _ => None,
                })
                .collect();
            let name = id_of(&text);
            let times = seen.entry(name.clone()).or_default();
            let unique = if *times == 0 { name } else { format!("{name}-{times}") };
            *times += 1;
            if let Event::Start(Tag::Heading { id, .. }) = &mut events[at] {
                *id = Some(unique.into());
            }
            title.get_or_insert(text);
        }
        at += 1;
    }
    title.unwrap_or_default()
}

/// As mdBook and GitHub make it: links work in all three.
fn id_of(heading: &str) -> String {
    heading
        .chars()
        .filter_map(|c| match c {
            c if c.is_alphanumeric() || c == '_' || c == '-' => Some(c.to_lowercase().next().unwrap_or(c)),
            c if c.is_whitespace() => Some('-'),
            _ => None,
        })
        .collect()
}

/// Where a link of a page leads to here; `None` for a file of the repository that is no page of the manual.
fn target<'a>(from: &str, link: &CowStr<'a>) -> Option<CowStr<'a>> {
    let (file, fragment) = link.split_once('#').map_or((&**link, None), |(file, rest)| (file, Some(rest)));
    if link.contains("://") || !file.ends_with(".md") {
        return Some(link.clone());
    }
    let path = beside(from, file).filter(|path| PAGES.iter().any(|(known, _)| known == path))?;
    let up = "../".repeat(from.matches('/').count());
    let mut out = format!("{up}{}", address(&path));
    if out.is_empty() {
        out.push_str("./");
    }
    if let Some(fragment) = fragment {
        let _ = write!(out, "#{fragment}");
    }
    Some(out.into())
}

/// A path that is relative to another one's folder.
fn beside(from: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in relative.split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Rust without the lines that only make it compile: those that begin with `# `, as in documentation.
fn without_hidden(code: &str) -> String {
    let shown = code.lines().filter(|line| {
        let line = line.trim_start();
        line != "#" && !line.starts_with("# ")
    });
    let mut out = String::new();
    for line in shown {
        out.push_str(line);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{PAGES, address, beside, body, id_of, page};

    fn all<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
        text.split(before).skip(1).filter_map(|rest| rest.split('"').next())
    }

    /// Every address with its anchors.
    fn anchors() -> HashSet<String> {
        let mut known = HashSet::new();
        for (path, _) in PAGES {
            let address = address(path);
            known.insert(address.to_owned());
            let text = page(address).unwrap();
            known.extend(all(&text, " id=\"").map(|id| format!("{address}#{id}")));
        }
        known
    }

    #[test]
    fn every_link_leads_to_a_page_and_to_a_heading_of_it() {
        let known = anchors();
        for (path, _) in PAGES {
            for link in all(&page(address(path)).unwrap(), "href=\"") {
                if link.starts_with('/')
                    || link.contains(':')
                    || link.ends_with("manual.css")
                    || link.ends_with("manual.md")
                {
                    continue;
                }
                let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
                let to = match file {
                    "" => address(path).to_owned(),
                    file => beside(path, file).unwrap().trim_start_matches("./").to_owned(),
                };
                let to = if fragment.is_empty() { to } else { format!("{to}#{fragment}") };
                assert!(known.contains(&to), "{path} links to {link}: there is no '{to}'");
            }
        }
    }

    #[test]
    fn code_that_only_compiles_is_not_shown_and_html_is_text() {
        let text =
            "# A `b`\n\n```rust,ignore\n# hidden\nlet a = 1;\n#[derive(Debug)]\n```\n<script>x</script>\n";
        let (title, html) = body("README.md", text);
        assert_eq!(title, "A b");
        assert!(html.contains("<h1 id=\"a-b\">") && html.contains("let a = 1;\n#[derive(Debug)]\n"));
        assert!(!html.contains("hidden") && !html.contains("<script>"), "{html}");
    }

    #[test]
    fn headings_are_named_as_elsewhere() {
        assert_eq!(id_of("Why is this value here?"), "why-is-this-value-here");
        assert_eq!(id_of("`a_b` & C"), "a_b--c");
    }
}
