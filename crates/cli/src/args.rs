//! What was asked for? The command line.

use crate::threshold::Threshold;
use clap::builder::styling::Styles;
use clap::{Args, Parser, Subcommand, ValueEnum};
use narrows_whatif::Turning;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  What makes the connections of a capture slow, and what to do about it:
    narrows explain slow.pcapng
  What one knob would be worth to one connection:
    narrows explain slow.pcapng --turn server.quickack=route --connection 3
  For scripts: exit status 1 when a finding takes 5 % or 50 ms:
    tcpdump -w - port 7000 | narrows explain - --json --fail-on 5%,50ms";

const EXIT_STATUS: &str = "\
Exit status:
  0  no finding reaches the threshold of --fail-on
  1  findings
  2  unusable input or arguments (a damaged file: what was found before the damage is printed)
  3  not permitted";

/// What makes this connection slow, and what is turning each knob worth?
///
/// `narrows FILE` is short for `narrows explain FILE`.
#[derive(Debug, Parser)]
#[command(
    name = "narrows",
    version,
    styles = Styles::styled(),
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true,
    after_help = EXAMPLES,
    after_long_help = format!("{EXIT_STATUS}\n\n{EXAMPLES}"),
)]
pub struct Arguments {
    /// What to do; without it, `explain`.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The arguments of `explain`.
    #[command(flatten)]
    pub explain: ExplainArguments,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Explain captures: what makes their connections slow, and what is turning each knob worth
    #[command(after_help = EXAMPLES, after_long_help = format!("{EXIT_STATUS}\n\n{EXAMPLES}"))]
    Explain(ExplainArguments),
    /// A lab: networks described in a file, in virtual time
    Lab {
        /// What to do
        #[command(subcommand)]
        command: crate::lab::LabCommand,
    },
    /// Measure the live path to a host: path MTU both ways, exact also without ICMP, the narrow hop, MSS
    #[command(after_help = crate::path::EXAMPLES, after_long_help = format!("{}\n\n{}", crate::path::EXIT_STATUS, crate::path::EXAMPLES))]
    Path(crate::path::PathArguments),
    /// List the knobs that --turn turns, or show one with the lines that turn it on real systems
    Knobs {
        /// The knob
        name: Option<String>,
    },
    /// Print the completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, in roff: narrows man | man -l -
    Man,
}

/// The arguments of `explain`.
#[derive(Clone, Debug, Args)]
pub struct ExplainArguments {
    /// Captures: pcap or pcapng, also gzip or zstd; - is standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Turn this knob, too, and predict what that gives (repeatable; each is turned on its own)
    ///
    /// SIDE is client, server, both or path; KNOB is a name of the table of knobs, as in client.nodelay=true or
    /// server.quickack=route (narrows knobs lists it). The knobs that fit the findings are turned in any case.
    #[arg(long, value_name = "SIDE.KNOB=VALUE", help_heading = "What to look at")]
    pub turn: Vec<Turning>,

    /// Show one connection in full, healthy or not, with its predictions
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "What to look at")]
    pub connection: Option<u32>,

    /// Write the connection's model as a scenario that `narrows lab run` runs: the one of --connection, else the one shown first
    #[arg(long, value_name = "OUT.toml", help_heading = "What to look at")]
    pub scenario: Option<PathBuf>,

    /// List all packet numbers of the finding with this number
    #[arg(long, value_name = "N", value_parser = parse_number, help_heading = "What to look at")]
    pub evidence: Option<usize>,

    /// Print JSON, one object per file on a line of its own (schema narrows.explain/1)
    #[arg(long, help_heading = "Output")]
    pub json: bool,

    /// Exit with status 1 from this size of a finding on: a share of its connection's duration, a time, both, or never
    #[arg(long, value_name = "SIZE", default_value = "10%,100ms", help_heading = "Output")]
    pub fail_on: Threshold,

    /// Colours: auto is a terminal only, and heeds NO_COLOR, CLICOLOR_FORCE and TERM=dumb
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Color::Auto, help_heading = "Output")]
    pub color: Color,

    /// Columns of the page, from 60 to 120; otherwise the terminal's, or 80
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(60..=120), help_heading = "Output")]
    pub width: Option<u16>,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal that wants them.
    Auto,
    /// Always, also in a pipe.
    Always,
    /// Never.
    Never,
}

impl From<Color> for anstream::ColorChoice {
    fn from(color: Color) -> anstream::ColorChoice {
        match color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        }
    }
}

fn parse_number(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("findings are numbered from 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_file_alone_is_explained() {
        let short = Arguments::try_parse_from(["narrows", "a.pcap", "--connection", "3"]).expect("valid");
        assert!(short.command.is_none());
        assert_eq!(short.explain.files, [PathBuf::from("a.pcap")]);
        let long =
            Arguments::try_parse_from(["narrows", "explain", "a.pcap", "--connection", "3"]).expect("valid");
        let Some(Command::Explain(explain)) = long.command else { panic!("not explain") };
        assert_eq!((explain.files, explain.connection), (short.explain.files, short.explain.connection));
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for arguments in [
            &["narrows"][..],
            &["narrows", "explain"],
            &["narrows", "a.pcap", "--connection", "0"],
            &["narrows", "a.pcap", "--evidence", "0"],
            &["narrows", "a.pcap", "--fail-on", "soon"],
            &["narrows", "a.pcap", "--turn", "nodelay"],
            &["narrows", "a.pcap", "--turn", "client.nodelay=perhaps"],
            &["narrows", "a.pcap", "--width", "20"],
            &["narrows", "completions", "tcsh"],
        ] {
            assert!(Arguments::try_parse_from(arguments).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn the_default_threshold_is_the_documented_one() {
        let arguments = Arguments::try_parse_from(["narrows", "a.pcap"]).expect("valid");
        assert_eq!(arguments.explain.fail_on, Threshold::default());
    }

    #[test]
    fn the_help_ends_with_examples() {
        for help in [
            Arguments::command().render_long_help().to_string(),
            Arguments::command().render_help().to_string(),
        ] {
            let (_, examples) = help.split_once("Examples:").expect("examples");
            assert_eq!(examples.matches("narrows explain").count(), 3);
        }
    }
}
