//! How a command fails: one line on stderr that says what to do, and the exit code.

use std::fmt::Display;
use std::process::ExitCode;

use toso_bench::BenchError;

/// A failed command.
#[derive(Debug)]
pub(crate) struct Fail {
    message: String,
    code: u8,
    /// It has been said already.
    said: bool,
    /// The answer could not be written out; the command itself went well.
    of_answer: bool,
}

impl Fail {
    /// It could not be done.
    pub(crate) fn new(message: impl Display) -> Self {
        Self { message: message.to_string(), code: 1, said: false, of_answer: false }
    }

    /// The command line is wrong.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self { message: message.to_string(), code: 2, said: false, of_answer: false }
    }

    /// The answer could not be written to stdout.
    pub(crate) fn of_answer(error: &std::io::Error) -> Self {
        Self { of_answer: true, ..Self::new(format!("the answer could not be written out: {error}")) }
    }

    /// Of a command that has changed something and then prints: that it was done, and what the answer was, are said all the
    /// same.
    pub(crate) fn of_done(self, answer: &str) -> Self {
        if !self.of_answer {
            return self;
        }
        let message = format!("{}; what was asked for is done and kept all the same: {answer}", self.message);
        Self { message, ..self }
    }

    /// Load could not be made, or something could not be measured.
    pub(crate) fn of_bench(error: BenchError) -> Self {
        match error {
            BenchError::Usage(_) | BenchError::Plan(_) => Self::usage(error),
            BenchError::Failed(_)
            | BenchError::Io(_)
            | BenchError::Rest(_)
            | BenchError::Invite(_)
            | BenchError::Enrol(_)
            | BenchError::Sync(_)
            | BenchError::Replica(_)
            | BenchError::Store(_)
            | BenchError::Text(_)
            | BenchError::Task(_) => Self::new(error),
        }
    }

    /// The same, once it stands on stderr.
    pub(crate) fn said(self) -> Self {
        Self { said: true, ..self }
    }

    /// True when nothing is left but the exit code.
    pub(crate) fn is_said(&self) -> bool {
        self.said
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl Display for Fail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl<E: std::error::Error> From<E> for Fail {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}
