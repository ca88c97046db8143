//! What the server says while it runs: a line per thing that happened, on stderr.

use clap::{Args, ValueEnum};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// What is logged, and how.
#[derive(Args, Debug)]
pub(super) struct LogArgs {
    /// What a line of the log looks like
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        default_value = "text",
        env = "FACTUM_LOG_FORMAT",
        hide_env_values = true
    )]
    log_format: LogFormat,
    /// What is worth a line; `debug` has one for each call
    #[arg(
        long,
        value_name = "LEVEL",
        value_enum,
        default_value = "info",
        env = "FACTUM_LOG_LEVEL",
        hide_env_values = true
    )]
    log_level: LogLevel,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people
    Text,
    /// An object per line
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
}

impl LogArgs {
    /// Whether the lines may stand among others.
    pub(super) fn are_for_people(&self) -> bool {
        self.log_format == LogFormat::Text
    }

    /// From now on everything is logged as chosen.
    pub(super) fn begin(&self) {
        let level = match self.log_level {
            LogLevel::Off => LevelFilter::OFF,
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
        };
        // What libraries say below a warning is about their insides.
        let only = Targets::new()
            .with_default(level.min(LevelFilter::WARN))
            .with_targets([("factum_server", level), ("factum_cli", level)]);
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
        let layer = match self.log_format {
            LogFormat::Text => lines.with_filter(only).boxed(),
            LogFormat::Json => lines.json().flatten_event(true).with_filter(only).boxed(),
        };
        // Who has one already, in a test, keeps it.
        let _ = tracing_subscriber::registry().with(layer).try_init();
    }
}
