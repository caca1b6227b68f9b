//! A Rust file line by line, code and comments apart.
//!
//! Knows comments, strings and character literals, so that a rule that looks for a word in code
//! does not stumble over the same word in a text, and the other way round. Knows nothing else of
//! the language.

/// One file.
#[derive(Debug)]
pub(crate) struct Source {
    /// Relative to the workspace's root.
    pub(crate) path: String,
    pub(crate) lines: Vec<Line>,
    /// Index of the first line that only tests compile; `lines.len()` if none.
    tests_from: usize,
}

/// One line, in two views of the same width or less.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// The line without comments, and with the contents of strings left out.
    pub(crate) code: String,
    /// The text of its comments, marks (`//!`) included.
    pub(crate) comment: String,
}

impl Line {
    /// Nothing but a comment.
    fn is_comment(&self) -> bool {
        self.code.trim().is_empty() && !self.comment.is_empty()
    }

    /// A further call of a chain: part of the line above.
    fn continues_chain(&self) -> bool {
        self.code.trim_start().starts_with('.')
    }

    fn is_blank(&self) -> bool {
        self.code.trim().is_empty() && self.comment.is_empty()
    }
}

/// How many lines of code may stand between a place and the comment that speaks of it.
const REACH: usize = 3;

impl Source {
    pub(crate) fn parse(path: &str, text: &str) -> Self {
        let lines = Scanner::new(text).lines();
        let tests_from = if is_test_path(path) {
            0
        } else {
            lines
                .windows(2)
                .position(|pair| opens_tests(&pair[0], &pair[1]))
                .unwrap_or(lines.len())
        };
        Self {
            path: path.to_owned(),
            lines,
            tests_from,
        }
    }

    /// Whether only tests, benches and examples compile the line at `index`.
    pub(crate) fn is_test(&self, index: usize) -> bool {
        index >= self.tests_from
    }

    /// Whether a comment on the line at `index`, or above it with at most [`REACH`] lines of code
    /// and no blank line between, satisfies `wanted`.
    pub(crate) fn has_comment_near(&self, index: usize, wanted: impl Fn(&str) -> bool) -> bool {
        // The place's own line is the first.
        let mut nr_code = 0;
        for line in self.lines[..=index].iter().rev() {
            if line.is_blank() || nr_code > REACH + 1 {
                return false;
            }
            if wanted(&line.comment) {
                return true;
            }
            nr_code += usize::from(!line.is_comment() && !line.continues_chain());
        }
        false
    }
}

fn is_test_path(path: &str) -> bool {
    path.split('/').any(|part| {
        matches!(
            part,
            "tests" | "tests-build" | "checks" | "benches" | "examples" | "tests.rs"
        )
    })
}

fn opens_tests(attribute: &Line, item: &Line) -> bool {
    attribute.code.trim_start().starts_with("#[cfg(test)]") && item.code.trim_end().ends_with('{')
}

/// Words of `code`, with their byte positions: identifiers, keywords, numbers.
pub(crate) fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .map(|word| (word.as_ptr() as usize - code.as_ptr() as usize, word))
}

struct Scanner {
    chars: Vec<char>,
    at: usize,
    line: Line,
    done: Vec<Line>,
}

impl Scanner {
    fn new(text: &str) -> Self {
        Self {
            chars: text.chars().collect(),
            at: 0,
            line: Line::default(),
            done: Vec::new(),
        }
    }

    fn lines(mut self) -> Vec<Line> {
        while let Some(c) = self.peek(0) {
            match (c, self.peek(1)) {
                ('/', Some('/')) => self.line_comment(),
                ('/', Some('*')) => self.block_comment(),
                ('"', _) => self.string(),
                ('r', Some('"' | '#')) if !self.after_word() => self.raw_string(),
                ('b' | 'c', Some('r')) if !self.after_word() => {
                    self.code();
                    self.raw_string();
                }
                ('\'', _) => self.character(),
                _ => self.code(),
            }
        }
        if !self.line.is_blank() {
            self.done.push(self.line);
        }
        self.done
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn after_word(&self) -> bool {
        self.at > 0 && (self.chars[self.at - 1].is_alphanumeric() || self.chars[self.at - 1] == '_')
    }

    /// Takes one character, to code, comment or nowhere.
    fn take(&mut self, keep: fn(&mut Line, char)) {
        let c = self.chars[self.at];
        self.at += 1;
        if c == '\n' {
            self.done.push(std::mem::take(&mut self.line));
        } else {
            keep(&mut self.line, c);
        }
    }

    fn code(&mut self) {
        self.take(|line, c| line.code.push(c));
    }

    fn comment(&mut self) {
        self.take(|line, c| line.comment.push(c));
    }

    fn skip(&mut self) {
        self.take(|_, _| {});
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.comment();
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while let Some(c) = self.peek(0) {
            match (c, self.peek(1)) {
                ('/', Some('*')) => {
                    depth += 1;
                    self.comment();
                }
                ('*', Some('/')) => {
                    depth -= 1;
                    self.comment();
                }
                _ => {}
            }
            self.comment();
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.code();
        while let Some(c) = self.peek(0) {
            if c == '"' {
                return self.code();
            }
            self.skip();
            if c == '\\' && self.peek(0).is_some() {
                self.skip();
            }
        }
    }

    /// `r"…"`, `r#"…"#`; also steps over the raw identifier `r#type`.
    fn raw_string(&mut self) {
        let hashes = (1..)
            .take_while(|&ahead| self.peek(ahead) == Some('#'))
            .count();
        if self.peek(1 + hashes) != Some('"') {
            return self.code();
        }
        for _ in 0..hashes + 2 {
            self.code();
        }
        while let Some(c) = self.peek(0) {
            if c == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#')) {
                for _ in 0..=hashes {
                    self.code();
                }
                return;
            }
            self.skip();
        }
    }

    /// A character literal or the mark of a lifetime.
    fn character(&mut self) {
        self.code();
        if self.peek(0) == Some('\\') {
            self.skip();
            self.skip();
            while self.peek(0).is_some_and(|c| c != '\'' && c != '\n') {
                self.skip();
            }
        } else if self.peek(1) == Some('\'') {
            self.skip();
        } else {
            return;
        }
        if self.peek(0) == Some('\'') {
            self.code();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Vec<String> {
        Source::parse("crates/a/src/lib.rs", text)
            .lines
            .into_iter()
            .map(|line| line.code)
            .collect()
    }

    #[test]
    fn comments_and_strings_leave_the_code() {
        assert_eq!(code("a(); // b\n"), ["a(); "]);
        assert_eq!(code("a /* b /* c */ d */ e"), ["a  e"]);
        assert_eq!(code("f(\"a // b \\\" c\", 1)"), ["f(\"\", 1)"]);
        assert_eq!(code("f(r#\"a \" b\"#)"), ["f(r#\"\"#)"]);
        assert_eq!(code("f(br\"a\\\", b\"c\")"), ["f(br\"\", b\"\")"]);
        assert_eq!(code("\"a\nunsafe {\n\" b"), ["\"", "", "\" b"]);
    }

    #[test]
    fn lifetimes_are_not_characters() {
        assert_eq!(
            code("fn f<'a>(x: &'a str) { '\"'; '\\''; '\\u{1f}'; b'x' }"),
            ["fn f<'a>(x: &'a str) { ''; ''; ''; b'' }"]
        );
        assert_eq!(code("let r#type = bar;"), ["let r#type = bar;"]);
    }

    #[test]
    fn comments_keep_their_marks() {
        let source = Source::parse("a.rs", "//! Head.\nx(); /* y */ // z\n");
        assert_eq!(source.lines[0].comment, "//! Head.");
        assert_eq!(source.lines[1].comment, "/* y */// z");
    }

    #[test]
    fn tests_start_at_their_module_or_folder() {
        let source = Source::parse("crates/a/src/lib.rs", "a\n#[cfg(test)]\nmod tests {\n}\n");
        assert_eq!(
            [0, 1, 2].map(|index| source.is_test(index)),
            [false, true, true]
        );
        assert!(Source::parse("crates/a/tests/b.rs", "a\n").is_test(0));
        let declared = Source::parse("crates/a/src/lib.rs", "#[cfg(test)]\nmod tests;\nb\n");
        assert!(!declared.is_test(2));
    }

    #[test]
    fn a_comment_reaches_three_lines_of_code_and_no_blank_one() {
        let near = |text: &str| {
            let source = Source::parse("a.rs", text);
            source.has_comment_near(source.lines.len() - 1, |comment| comment.contains("yes"))
        };
        assert!(near("x // yes"));
        assert!(near(
            "// yes\n// more\n// more\n// more\n// more\na\nb\nc\nx"
        ));
        assert!(!near("// yes\na\nb\nc\nd\nx"));
        assert!(near("// yes\na\n.b\n.c\n.d\n.x"));
        assert!(!near("// yes\n\nx"));
    }

    #[test]
    fn words_have_positions() {
        assert_eq!(
            words("a.b_c(1)").collect::<Vec<_>>(),
            [(0, "a"), (2, "b_c"), (6, "1")]
        );
    }
}
