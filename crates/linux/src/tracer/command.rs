//! What to run, and which files to try for it.

use super::Error;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// Where programs are looked for if there is no `PATH`.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// A program and its arguments; the environment is the tracer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program, looked up in `PATH` if its name has no slash.
    pub program: OsString,
    /// Its arguments, without its name.
    pub args: Vec<OsString>,
}

impl Command {
    /// A program without arguments.
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
        }
    }

    /// With these arguments in addition.
    #[must_use]
    pub fn args<I>(mut self, args: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Name and arguments as the program will see them.
    pub(super) fn argv(&self) -> Result<Vec<CString>, Error> {
        std::iter::once(&self.program)
            .chain(&self.args)
            .map(|arg| c_string(arg))
            .collect()
    }

    /// The files to try, in order, as `execvp` does.
    pub(super) fn candidates(&self) -> Result<Vec<CString>, Error> {
        let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
        self.candidates_in(&path)
    }

    fn candidates_in(&self, path: &OsStr) -> Result<Vec<CString>, Error> {
        if self.program.is_empty() {
            return Err(Error::NotFound {
                program: PathBuf::new(),
            });
        }
        if self.program.as_bytes().contains(&b'/') {
            return Ok(vec![c_string(&self.program)?]);
        }
        path.as_bytes()
            .split(|&byte| byte == b':')
            .map(|folder| self.inside(folder))
            .collect()
    }

    /// The program in one element of `PATH`; an empty element is the working directory.
    fn inside(&self, folder: &[u8]) -> Result<CString, Error> {
        let mut file = folder.to_vec();
        if !file.is_empty() {
            file.push(b'/');
        }
        file.extend_from_slice(self.program.as_bytes());
        c_string(OsStr::from_bytes(&file))
    }
}

/// The tracer's environment as the program will see it.
pub(super) fn environment() -> Result<Vec<CString>, Error> {
    let pair = |(mut name, value): (OsString, OsString)| {
        name.push("=");
        name.push(value);
        c_string(&name)
    };
    std::env::vars_os().map(pair).collect()
}

/// A path back from what was tried.
pub(super) fn path_of(file: CString) -> PathBuf {
    OsString::from_vec(file.into_bytes()).into()
}

fn c_string(text: &OsStr) -> Result<CString, Error> {
    CString::new(text.as_bytes()).map_err(|_| Error::NulByte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(program: &str, path: &str) -> Vec<String> {
        let found = Command::new(program)
            .candidates_in(OsStr::new(path))
            .unwrap();
        found
            .into_iter()
            .map(|file| file.into_string().unwrap())
            .collect()
    }

    #[test]
    fn a_slash_means_no_search() {
        assert_eq!(tried("./a", "/bin:/usr/bin"), ["./a"]);
        assert_eq!(tried("/x/a", ""), ["/x/a"]);
    }

    #[test]
    fn empty_elements_mean_the_working_directory() {
        assert_eq!(tried("a", "/bin::/usr/bin"), ["/bin/a", "a", "/usr/bin/a"]);
        assert_eq!(tried("a", ""), ["a"]);
    }

    #[test]
    fn no_name_is_not_found_and_a_nul_is_refused() {
        let search = |name| Command::new(name).candidates_in(OsStr::new("/bin"));
        assert!(matches!(search(""), Err(Error::NotFound { .. })));
        assert!(matches!(search("a\0b"), Err(Error::NulByte)));
    }
}
