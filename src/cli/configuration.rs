//! `affectd config`: the template, the configuration in effect, and the JSON Schemas.

use affect_core::{command, health, report};

use super::{ConfigFiles, Exit, Failure, migrate, print};
use crate::config;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    config: ConfigFiles,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make files of an older form into what this affectd reads; comments stay.
    Migrate(migrate::Arguments),
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct What {
    /// Print a commented template with every key and its default.
    #[arg(long)]
    defaults: bool,
    /// Print the configuration in effect, and where each value comes from; secrets hidden.
    #[arg(long)]
    effective: bool,
    /// Print the JSON Schema of the configuration or of a payload.
    #[arg(long, value_name = "OF", num_args = 0..=1, default_missing_value = "config")]
    schema: Option<SchemaOf>,
}

/// What there is a schema of.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum SchemaOf {
    Config,
    Window,
    Info,
    State,
    Status,
    Health,
    Result,
}

impl SchemaOf {
    fn schema(self) -> serde_json::Value {
        match self {
            Self::Config => config::schema(),
            Self::Window => schemars::schema_for!(report::WindowReport).to_value(),
            Self::Info => schemars::schema_for!(report::Info).to_value(),
            Self::State => schemars::schema_for!(report::CameraState).to_value(),
            Self::Status => schemars::schema_for!(report::Status).to_value(),
            Self::Health => schemars::schema_for!(health::Health).to_value(),
            Self::Result => schemars::schema_for!(command::CommandResult).to_value(),
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(Action::Migrate(arguments)) = &arguments.action {
        return migrate::run(arguments);
    }
    if let Some(of) = arguments.what.schema {
        print(format_args!("{:#}", of.schema()))?;
    } else if arguments.what.defaults {
        print(config::template().trim_end())?;
    } else {
        let (config, origins) = config::load_with_origins(&arguments.config.files(), config::environment())
            .map_err(|error| Failure::new(Exit::Config, error))?;
        print(config.effective_toml_with(&origins).trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::SchemaOf;

    /// The committed schemas are what the types say. After a change of the types, write them anew with
    /// `make schemas`.
    #[test]
    fn committed_schemas_follow_the_types() {
        let all = [
            ("window", SchemaOf::Window),
            ("info", SchemaOf::Info),
            ("state", SchemaOf::State),
            ("status", SchemaOf::Status),
            ("health", SchemaOf::Health),
            ("result", SchemaOf::Result),
        ];
        for (name, of) in all {
            let path = format!("{}/config/schema/{name}.json", env!("CARGO_MANIFEST_DIR"));
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                committed.trim_end() == format!("{:#}", of.schema()),
                "{path} is out of date: run `make schemas`"
            );
        }
    }
}
