//! `toso report`: the centre's figures, as the server computed them.

use crate::args::{ReportArgs, ReportFormat};
use crate::fail::Fail;
use crate::{input, output, token_file};

/// Fetches a report and prints it as it came.
pub(crate) fn run(args: &ReportArgs) -> Result<(), Fail> {
    let list = input::list(&args.list)?;
    let caller = token_file::read(&args.token_file)?;
    let format = match args.format {
        ReportFormat::Text => "text",
        ReportFormat::Json => "json",
        ReportFormat::Csv => "csv",
    };
    let mut path = format!("/v1/report?list={list}&format={format}");
    if let Some(code) = &args.unit {
        path = format!("{path}&unit={}", input::unit(list, code)?.code);
    }
    if args.raw {
        if args.format != ReportFormat::Csv {
            return Err(Fail::usage("--raw goes with --format csv"));
        }
        path.push_str("&raw=1");
    }
    output::document(&args.reach.rest(&args.server)?.get_text(&args.server, &path, &caller)?)
}
