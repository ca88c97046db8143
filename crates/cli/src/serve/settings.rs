//! What was chosen for a server, and where does each choice come from? For `/v1/system`, which shows it to administrators.

use clap::ArgMatches;
use clap::parser::ValueSource;
use factum_server::Setting;
use serde_json::Value;

/// Every option of `command` as `matches` has it. Passwords in addresses are left out.
pub(crate) fn settings(command: &clap::Command, matches: &ArgMatches) -> Vec<Setting> {
    let options = command.get_arguments().filter(|option| !option.is_global_set());
    let of = |option: &clap::Arg| {
        let name = option.get_long().filter(|name| *name != "help")?;
        let id = option.get_id().as_str();
        let given = matches.get_raw(id).into_iter().flatten();
        let given: Vec<_> = given.map(|text| shown(&text.to_string_lossy())).collect();
        let usual: Vec<_> =
            option.get_default_values().iter().map(|text| shown(&text.to_string_lossy())).collect();
        let source = match matches.value_source(id) {
            Some(ValueSource::CommandLine) => "flag",
            Some(ValueSource::EnvVariable) => "environment",
            _ => "default",
        };
        let is_flag = !option.get_action().takes_values();
        let value = if is_flag { Value::from(matches.get_flag(id)) } else { one_or_all(given) };
        let default = if is_flag { Value::from(false) } else { one_or_all(usual) };
        Some(Setting { name: format!("--{name}"), value, default, source: source.to_owned() })
    };
    options.filter_map(of).collect()
}

fn one_or_all(mut texts: Vec<String>) -> Value {
    match texts.len() {
        0 => Value::Null,
        1 => Value::from(texts.remove(0)),
        _ => Value::from(texts),
    }
}

/// A value without the name and password that an address may have in it.
fn shown(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((secret, _)) => format!("{scheme}://***{}", &rest[secret.len()..]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_and_passwords_are_not() {
        let command = clap::Command::new("serve").args([
            clap::Arg::new("listen").long("listen").default_value("127.0.0.1:2113"),
            clap::Arg::new("models").long("models"),
            clap::Arg::new("insecure").long("insecure").action(clap::ArgAction::SetTrue),
        ]);
        let line = ["serve", "--insecure", "--models", "postgres://me:p@ss@db.example/a?b=c@d"];
        let settings = settings(&command, &command.clone().get_matches_from(line));
        let rows: Vec<_> =
            settings.iter().map(|of| (of.name.as_str(), of.value.to_string(), of.source.as_str())).collect();
        assert_eq!(
            rows,
            [
                ("--listen", "\"127.0.0.1:2113\"".to_owned(), "default"),
                ("--models", "\"postgres://***@db.example/a?b=c@d\"".to_owned(), "flag"),
                ("--insecure", "true".to_owned(), "flag"),
            ]
        );
        assert_eq!(settings[0].default, "127.0.0.1:2113");
    }
}
