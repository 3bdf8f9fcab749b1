//! The binary: arguments to exit code.

use std::process::ExitCode;

use clap::Parser as _;
use culvert::app;
use culvert::cli::args::Arguments;
use culvert::cli::output;

fn main() -> ExitCode {
    match app::run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(&failure.sentence);
            ExitCode::from(failure.code)
        }
    }
}
