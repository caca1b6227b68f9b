//! What a rule has to say about one place.

use std::fmt;

/// Whether the place fails the check or is only pointed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    Error,
    Warning,
}

/// One place that breaks one rule. Sorts by place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    /// Relative to the workspace's root.
    pub(crate) file: String,
    /// From 1.
    pub(crate) line: usize,
    pub(crate) rule: &'static str,
    pub(crate) severity: Severity,
    /// What to do about it, in the imperative.
    pub(crate) advice: String,
}

impl Violation {
    pub(crate) fn error(
        file: &str,
        line: usize,
        rule: &'static str,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            file: file.to_owned(),
            line,
            rule,
            severity: Severity::Error,
            advice: advice.into(),
        }
    }

    pub(crate) fn warning(
        file: &str,
        line: usize,
        rule: &'static str,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(file, line, rule, advice)
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            rule,
            severity,
            advice,
        } = self;
        let warning = if *severity == Severity::Warning {
            "warning: "
        } else {
            ""
        };
        write!(f, "{file}:{line}: {rule}: {warning}{advice}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_each_and_warnings_say_so() {
        let error = Violation::error("a.rs", 3, "header", "say what it is for");
        assert_eq!(error.to_string(), "a.rs:3: header: say what it is for");
        let warning = Violation::warning("a.rs", 3, "orderings", "say why");
        assert_eq!(warning.to_string(), "a.rs:3: orderings: warning: say why");
    }
}
